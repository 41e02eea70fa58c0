#!/usr/bin/env bash
# Installs what the benchmarks need, builds a release, and measures it beside the native file system,
# curl and its peers. On a bare Debian 12 all it needs is this clone. See docs/BENCHMARKS.md.
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/bench.sh [--only NAME[,NAME]] [--runs N] [--quick] [--peers NAME[,NAME]|none] [--list]
                        [--work DIR] [--out DIR]
  --only   these workloads; --list names them
  --runs   values of each row: medians of them (default 5)
  --quick  smaller sizes, to try the harness: its figures say little
  --peers  rclone, httpdirfs, nbdkit, qemu; or none (default all)
  --work   images (kept between runs), caches and mounts (default /var/tmp/imgcachefs-bench). Its
           file system is what is measured; a whole run wants 60 GiB of it
  --out    where the results go (default bench/results)
Root only: it drops the page cache, mounts, and makes a network namespace.
END
}

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$repo/scripts/common.sh"
# shellcheck source=scripts/packages.sh
source "$repo/scripts/packages.sh"

for arg in "$@"; do
  case $arg in
    -h | --help)
      usage
      exit 0
      ;;
    --list) exec /usr/bin/python3 "$repo/bench/run.py" --list ;;
  esac
done

((EUID == 0)) || die "has to be root: it drops the page cache, mounts, and makes a network namespace"
can_mount || exit 1
install_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"

say "Building a release into build/release"
use_ccache
(
  cd "$repo"
  cmake --preset release
  cmake --build --preset release --parallel "$(nproc)" --target imgcachefs imgcachectl bench_tools
)

# Debian's own Python: that has the matplotlib which was installed.
export PATH=$PATH:/usr/sbin:/sbin PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$repo/bench/run.py" "$@"
