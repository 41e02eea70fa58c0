#!/usr/bin/env bash
# Tries the Debian package in a bare Debian 12: installs it there, mounts from fstab, upgrades while
# a reader has an image open, removes and purges it, and looks at what is left. As root.
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/test-package.sh
           makes the package in two revisions (scripts/package.sh) and tries them in a root that is
           kept in /var/tmp/imgcachefs-roots ($IMGCACHEFS_ROOTS)
END
}

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
# shellcheck source=scripts/common.sh
source scripts/common.sh
# shellcheck source=scripts/bare_root.sh
source scripts/bare_root.sh

case ${1-} in
  '') ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
((EUID == 0)) || die "has to be root, for a root of its own"
can_mount || die "file systems cannot be mounted here"

work=$(mktemp -d /var/tmp/imgcachefs-package.XXXXXX)
# Nothing is mounted below: what was, ended with its namespace.
trap 'rm -rf --one-file-system "$work"' EXIT

for revision in 1 2; do
  arguments=(--revision "$revision")
  ((revision == 1)) || arguments+=(--no-lintian)
  scripts/package.sh "${arguments[@]}"
  mkdir -p "$work/packages/$revision"
  mv build/package/imgcachefs_*.deb "$work/packages/$revision/imgcachefs.deb"
done

# The upstream, and what the trial itself needs.
make_root bookworm nginx-light procps
say "A copy of it to work in"
cp -a --reflink=auto "$root" "$work/root"
say "Trying the package"
shown=("$work/packages:/packages:ro" "$repo/scripts/package_trial:/trial:ro")
in_root "$work/root" bash /trial/trial.sh
say "The package does as it should, in $(elapsed)"
