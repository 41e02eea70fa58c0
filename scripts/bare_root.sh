# shellcheck shell=bash
# Bare Debian roots to try things in: a debootstrap of the suite one asks for, from the mirror that
# this machine uses. Sourced after common.sh, as root.
#
# A root is made once and kept in $IMGCACHEFS_ROOTS (default: /var/tmp/imgcachefs-roots); what is
# tried in it runs in namespaces of its own, so its mounts and its processes end with it.

roots=${IMGCACHEFS_ROOTS:-/var/tmp/imgcachefs-roots}

# The mirror of Debian that apt uses here.
debian_mirror() {
  # shellcheck disable=SC2016 # it is apt's own variable
  apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian' 2>/dev/null |
    sort -u | head -n 1
}

# How apt reaches it: proxies, and what this machine has said of dates.
apt_reaches() {
  apt-config dump --format '%F "%v";%n' Acquire |
    grep -E '^Acquire::(https?|Check|Retries|Max-ValidTime)' || true
}

# in_root ROOT COMMAND [ARG...]: with an environment, mounts and processes of its own. Directories
# of this machine that it is to see are in the array `shown`, as FROM:TO or FROM:TO:ro.
shown=()
in_root() {
  local root=$1
  shift
  # shellcheck disable=SC2016 # they are the inner shell's
  env -i ${http_proxy:+http_proxy="$http_proxy"} HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    unshare --mount --pid --fork --kill-child --propagation private \
    bash -c '
      set -euo pipefail
      root=$1 count=$2
      shift 2
      mount --bind "$root" "$root"
      mount --rbind /dev "$root/dev"
      mount -t proc proc "$root/proc"
      mount -t sysfs sysfs "$root/sys"
      mount -t tmpfs tmpfs "$root/run"
      for ((; count > 0; --count)); do
        IFS=: read -r from to mode <<<"$1"
        shift
        mkdir -p "$root$to"
        mount --bind "$from" "$root$to"
        [[ -z $mode ]] || mount -o remount,bind,"$mode" "$root$to"
      done
      cd "$root"
      exec chroot . "$@"' in_root "$root" "${#shown[@]}" ${shown[@]+"${shown[@]}"} "$@"
}

# make_root SUITE [PACKAGE...]: the root of that suite with these packages, in the variable `root`.
make_root() {
  local suite=$1 mirror
  shift
  root=$roots/$suite
  if [[ ! -e $root/.made ]]; then
    install_packages debootstrap
    mirror=$(debian_mirror)
    [[ -n $mirror ]] || die "apt has no mirror of Debian here"
    say "Making a bare $suite in $root"
    rm -rf --one-file-system "$root"
    mkdir -p "$roots"
    debootstrap --variant=minbase "$suite" "$root" "$mirror"
    apt_reaches >"$root/etc/apt/apt.conf.d/90imgcachefs-test"
    # Servers are started by who wants them.
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    touch "$root/.made"
  fi
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  if (($# > 0)) && [[ $(<"$root/.made") != "$*" ]]; then
    say "Installing in $root: $*"
    in_root "$root" apt-get -q update
    in_root "$root" apt-get -q -y install --no-install-recommends "$@"
    in_root "$root" apt-get clean
    printf '%s\n' "$*" >"$root/.made"
  fi
}
