#!/usr/bin/env bash
# Installs what the tests need, builds, and runs them all. On a bare Debian 12 all it needs is this
# clone.
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/test.sh [--dev] [--asan] [--tsan] [--no-mount] [--no-real]
  --dev       the format check, and every test (preset dev)
  --asan      unit and contract tests with AddressSanitizer and UBSan
  --tsan      unit, contract and stress tests with ThreadSanitizer
              (without any of these three: all three)
  --no-mount  leave out the tests that mount, where FUSE cannot be had
  --no-real   leave out the tests with a real Glance and Keystone, and do not install those
END
}

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
# shellcheck source=scripts/common.sh
source scripts/common.sh
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

jobs=$(nproc)
# Most tests wait: for a daemon, a server, a time to pass.
readonly tests_at_once=$((jobs + (jobs + 1) / 2))
parts=()
mount=yes
real=yes
for arg in "$@"; do
  case $arg in
    --dev | --asan | --tsan) parts+=("${arg#--}") ;;
    --no-mount) mount=no ;;
    --no-real) real=no ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
done
((${#parts[@]} > 0)) || parts=(dev tsan asan)

# The test programs that run with sanitizers: they start no daemon.
readonly sanitized='unit_[a-z]+|contract|stress'
readonly mounting='mount|crash|model|real'

failed=()
fail() {
  warn "$1"
  failed+=("$1")
}

check_format() {
  say "Checking the format (clang-format)"
  # Not from git's list: there may be no git here, and a file not added yet counts too.
  find src tests \( -name '*.cc' -o -name '*.h' \) -print0 |
    xargs -0 clang-format --dry-run -Werror ||
    fail "format: run clang-format -i on the files named above"
}

# run_tests PRESET ARG...: ctest, and at the end of all the failed tests by name. Where nobody
# watches, the hundreds that passed are not told one by one: who reads a log looks for the others.
run_tests() {
  local preset=$1 names=build/$1/Testing/Temporary/LastTestsFailed.log name
  shift
  rm -f "$names"
  if plain_addresses ctest --preset "$preset" --parallel "$tests_at_once" --no-tests=error "$@" |
    if [[ -t 1 ]]; then cat; else grep --line-buffered -vE '^ +Start +[0-9]+: |^ *[0-9]+/[0-9]+ Test .* Passed '; fi; then
    return
  fi
  fail "$preset: tests failed"
  [[ ! -e $names ]] || while IFS=: read -r _ name; do
    failed+=("  ${name%%  # GetParam*}")
  done <"$names"
}

# Some kernels put more randomness into addresses than ThreadSanitizer of GCC 12 can stand.
plain_addresses() {
  if setarch -R true 2>/dev/null; then setarch -R "$@"; else "$@"; fi
}

test_dev() {
  check_format
  say "Building everything (preset dev)"
  cmake --preset dev
  cmake --build --preset dev --parallel "$jobs"
  say "Running all tests"
  local skip=()
  if [[ $mount == no ]]; then
    skip=(-LE "^($mounting)\$")
  elif [[ $real == no ]]; then
    skip=(-LE '^real$')
  fi
  run_tests dev ${skip[@]+"${skip[@]}"}
}

# test_sanitized PRESET
test_sanitized() {
  local preset=$1 targets
  say "Building the unit and contract tests (preset $preset)"
  cmake --preset "$preset"
  mapfile -t targets < <(ninja -C "build/$preset" -t targets all |
    sed -nE "s/^(test_($sanitized)): phony\$/\1/p")
  ((${#targets[@]} > 0)) || die "$preset: there are no tests to build"
  # Tests are asked for their names as they are built.
  plain_addresses cmake --build --preset "$preset" --parallel "$jobs" --target "${targets[@]}"
  say "Running them with sanitizers"
  run_tests "$preset" -L '^(unit/.*|contract|stress)$'
}

if [[ $mount == yes && " ${parts[*]} " == *" dev "* ]]; then
  can_mount || die "the mount tests cannot run here; --no-mount leaves them out"
fi
packages=("${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}")
# The servers are for the tests that mount them, which are part of the first of the three.
if [[ $mount == yes && $real == yes && " ${parts[*]} " == *" dev "* ]]; then
  packages+=("${REAL_PACKAGES[@]}")
fi
install_packages "${packages[@]}"
use_ccache
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 TSAN_OPTIONS=halt_on_error=1
for part in "${parts[@]}"; do
  if [[ $part == dev ]]; then test_dev; else test_sanitized "$part"; fi
done

if ((${#failed[@]} > 0)); then
  say "FAILED after $(elapsed):"
  printf '    %s\n' "${failed[@]}"
  exit 1
fi
say "All tests passed (${parts[*]}) in $(elapsed)"
