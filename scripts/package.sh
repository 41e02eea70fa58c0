#!/usr/bin/env bash
# Makes the Debian package, build/package/imgcachefs_*.deb, and has lintian look it over. On a bare
# Debian 12 all it needs is this clone.
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/package.sh [--revision N] [--no-lintian]
  --revision N  the revision of the Debian package (default: 1)
  --no-lintian  only make it
END
}

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
# shellcheck source=scripts/common.sh
source scripts/common.sh
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

revision=1
lintian=yes
while (($# > 0)); do
  case $1 in
    --revision)
      revision=${2:?$(usage)}
      shift
      ;;
    --no-lintian) lintian=no ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done

packages=("${BUILD_PACKAGES[@]}" "${PACKAGE_PACKAGES[@]}")
[[ $lintian == no ]] || packages+=(lintian)
install_packages "${packages[@]}"
use_ccache
say "Building (preset package)"
cmake --preset package -D "CPACK_DEBIAN_PACKAGE_RELEASE=$revision"
cmake --build --preset package --parallel "$(nproc)"
say "Packing"
(
  # Directories of the package get the modes that they should have.
  umask 022
  cd build/package
  rm -f imgcachefs_*.deb
  cpack
)
package=$(echo build/package/imgcachefs_*.deb)
if [[ $lintian == yes ]]; then
  say "Looking it over (lintian)"
  # As root it only warns that it is root.
  lintian --allow-root --fail-on error,warning --info "$package"
fi
say "Made $package in $(elapsed)"
