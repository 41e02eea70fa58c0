# shellcheck shell=bash
# What the scripts have in common. Sourced, with `set -euo pipefail` in force.

say() { printf '\n==> %s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  warn "$@"
  exit 1
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    die "has to be root for: $* (and there is no sudo)"
  fi
}

is_installed() {
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true) == installed ]]
}

# What starts at boot, one a line: the links of sysvinit and of systemd.
boot_services() {
  (
    shopt -s nullglob
    cd /etc || exit
    printf '%s\n' rc2.d/S* systemd/system/{multi-user,sockets,sysinit,timers}.target.wants/*
  )
}

# Installing a server starts it, and at every boot from then on. Nobody asked for that: our scripts
# start their own. So it is not started, and what starts at boot is afterwards what did before. A
# service that was there before is left alone.
apt_get_install() (
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    trap 'as_root rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  before=$(boot_services)
  status=0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "$@" ||
    status=$?
  # Also when it failed half-way: some may be installed.
  while read -r link; do
    disable_service "$link"
  done < <(comm -13 <(sort <<<"$before") <(boot_services | sort))
  exit "$status"
)

# disable_service LINK: one of boot_services
disable_service() {
  local name=${1##*/}
  case $1 in
    rc2.d/*) as_root update-rc.d "${name#S[0-9][0-9]}" disable || true ;;
    # Where systemd runs, the line above has done it for a service of the same name. The helper is
    # made for dpkg's scripts, and works where systemd does not run.
    *)
      [[ ! -L /etc/$1 ]] ||
        as_root env DPKG_MAINTSCRIPT_PACKAGE=imgcachefs deb-systemd-helper disable "$name" || true
      ;;
  esac
}

# install_packages PACKAGE...: those that are missing, and no call of apt when none is.
install_packages() {
  local package missing=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    say "All packages needed are installed"
    return
  fi
  command -v apt-get >/dev/null ||
    die "there is no apt-get here (Debian 12 is expected). Needed: ${missing[*]}"
  say "Installing with apt-get: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update
  apt_get_install "${missing[@]}"
}

# Compiler calls go through ccache when it is there; it is not installed for it. What one clone has
# compiled serves another: paths count from the clone, whose place is not looked at.
use_ccache() {
  if command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER:-ccache}
    export CCACHE_BASEDIR=${CCACHE_BASEDIR:-${repo:-$PWD}} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}
  fi
}

# Whether this user may mount FUSE file systems here; says why not on stderr.
can_mount() {
  if [[ ! -r /proc/self/mounts ]]; then
    warn "/proc is not mounted (in a chroot: mount -t proc proc /proc)"
    return 1
  fi
  if [[ ! -e /dev/fuse ]] && ((EUID == 0)); then
    # A bare chroot, or a host where nobody has used FUSE since it was started.
    modprobe fuse 2>/dev/null || true
    [[ -e /dev/fuse ]] || mknod -m 666 /dev/fuse c 10 229 2>/dev/null || true
  fi
  # Opened for real: in a container the node can be there and still be forbidden.
  if ! (: <>/dev/fuse) 2>/dev/null; then
    warn "/dev/fuse cannot be opened. In a container: run it with --device /dev/fuse --cap-add" \
      "SYS_ADMIN (or --privileged). On a host: modprobe fuse, or run this as root."
    return 1
  fi
}

elapsed() { printf '%d min %02d s' $((SECONDS / 60)) $((SECONDS % 60)); }
