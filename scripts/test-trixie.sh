#!/usr/bin/env bash
# Builds and tests on Debian 13, in a root of its own: libfuse 3.17 with its own words for
# passthrough, and newer compilers and libraries. As root.
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/test-trixie.sh [CTEST-ARGUMENT...]
           the root is kept in /var/tmp/imgcachefs-roots ($IMGCACHEFS_ROOTS); tests
           are those of units, contracts, mounts, imgcachectl and documents, or what ctest is told
END
}

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
# shellcheck source=scripts/common.sh
source scripts/common.sh
# shellcheck source=scripts/packages.sh
source scripts/packages.sh
# shellcheck source=scripts/bare_root.sh
source scripts/bare_root.sh

if [[ ${1-} == -h || ${1-} == --help ]]; then
  usage
  exit 0
fi
((EUID == 0)) || die "has to be root, for a root of its own"
can_mount || die "file systems cannot be mounted here"
tests=("$@")
((${#tests[@]} > 0)) || tests=(-L '^(unit/.*|contract|mount|ctl|docs)$')

packages=(ccache)
for package in "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}"; do
  [[ $package == clang-format ]] || packages+=("$package")
done
make_root trixie "${packages[@]}"
shown=("$repo:/src:ro")
say "Building on Debian 13"
# The preset dev, outside of the sources, and from the beginning (ccache has the objects): those of
# another clone would be newer than sources that they were not made of.
in_root "$root" env CCACHE_DIR=/var/cache/ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache bash -c "
  rm -rf /build && cmake -S /src -B /build -G Ninja -D CMAKE_BUILD_TYPE=RelWithDebInfo &&
    cmake --build /build --parallel $(nproc)"
say "Testing on Debian 13"
in_root "$root" ctest --test-dir /build --parallel "$(nproc)" --no-tests=error --output-on-failure \
  "${tests[@]}"
say "All of them passed on Debian 13, in $(elapsed)"
