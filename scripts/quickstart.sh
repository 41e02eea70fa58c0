#!/usr/bin/env bash
# Builds imgcachefs and shows it at work. On a bare Debian 12 all it needs is this clone.
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/quickstart.sh
           builds a release, serves a sample image from an nginx of its own, mounts it, reads it
           cold and warm, shows what went over the wire, unmounts, and leaves nothing behind
       scripts/quickstart.sh SOURCE MOUNTPOINT [-o option,...]
           builds a release, mounts SOURCE (http://HOST/DIR/) on MOUNTPOINT and leaves it mounted
END
}

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/common.sh
source "$repo/scripts/common.sh"
# shellcheck source=scripts/packages.sh
source "$repo/scripts/packages.sh"

bin=$repo/build/release/bin
sample=sample.img
sample_mib=256

build() {
  say "Building a release into build/release"
  use_ccache
  (cd "$repo" && cmake --preset release && cmake --build --preset release --parallel "$(nproc)")
}

is_mounted() { grep -qsF " $1 fuse.imgcachefs " /proc/self/mounts; }

unmount() {
  if ((EUID == 0)); then umount "$@"; else fusermount3 -u "$@"; fi
}

# mount_here SOURCE MOUNTPOINT [option...]
mount_here() {
  "$bin/imgcachefs" "$@" || die "the mount failed (exit code $?). When it says that it is not" \
    "permitted, as in a container: that needs --cap-add SYS_ADMIN --device /dev/fuse."
}

mount_users_own() {
  local source=$1 mountpoint=$2
  shift 2
  mkdir -p "$mountpoint"
  mountpoint=$(realpath "$mountpoint") # as the mount table has it
  if is_mounted "$mountpoint"; then
    say "Already mounted on $mountpoint"
  else
    local options=()
    if ((EUID != 0)) && [[ "$*" != *cache?dir=* ]]; then
      # The default, /var/cache/imgcachefs, is root's.
      options=(-o "cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/imgcachefs")
    fi
    say "Mounting $source on $mountpoint"
    mount_here "$source" "$mountpoint" ${options[@]+"${options[@]}"} "$@"
  fi
  local undo=umount
  ((EUID == 0)) || undo="fusermount3 -u"
  cat <<END

It is mounted. An image appears when it is asked for by its name: try
    cp $mountpoint/<image> /somewhere
See what is cached:    $bin/imgcachectl -m $mountpoint list
Unmount:               $undo $mountpoint
END
}

# --- the demonstration ---

work='' nginx_pid=''

clean_up() {
  local code=$?
  set +e
  [[ -z $work ]] || ! is_mounted "$work/mnt" || unmount "$work/mnt" || umount -l "$work/mnt"
  if [[ -n $nginx_pid ]]; then
    kill "$nginx_pid" 2>/dev/null
    wait "$nginx_pid" 2>/dev/null
  fi
  [[ -z $work ]] || rm -rf --one-file-system "$work"
  exit "$code"
}

start_nginx() {
  local port try
  for try in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    cat >"$work/nginx.conf" <<END
daemon off;
master_process off;
pid $work/nginx.pid;
error_log $work/error.log;
events {}
http {
  log_format bytes '\$uri \$status \$body_bytes_sent';
  access_log $work/access.log bytes;
  client_body_temp_path $work/tmp-body;
  proxy_temp_path $work/tmp-proxy;
  fastcgi_temp_path $work/tmp-fastcgi;
  uwsgi_temp_path $work/tmp-uwsgi;
  scgi_temp_path $work/tmp-scgi;
  server {
    listen 127.0.0.1:$port;
    root $work/images;
  }
}
END
    PATH=$PATH:/usr/sbin nginx -e "$work/error.log" -c "$work/nginx.conf" &
    nginx_pid=$!
    local _
    for _ in {1..50}; do
      if (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && kill -0 "$nginx_pid" 2>/dev/null; then
        url=http://127.0.0.1:$port/
        return
      fi
      kill -0 "$nginx_pid" 2>/dev/null || break
      sleep 0.1
    done
    kill "$nginx_pid" 2>/dev/null || true
    wait "$nginx_pid" || true
    warn "nginx did not start on port $port (try $try): $(tail -n 1 "$work/error.log" || true)"
  done
  die "no nginx could be started"
}

# Of the sample image only, as nginx logged it: "REQUESTS BYTES".
upstream_traffic() {
  awk -v uri="/$sample" '$1 == uri { n++; bytes += $3 } END { print n + 0, bytes + 0 }' \
    "$work/access.log"
}

# Reads the whole image; gives what dd says of it: bytes, seconds, rate.
timed_read() { LC_ALL=C dd if="$work/mnt/$sample" of=/dev/null bs=1M 2>&1 | tail -n 1; }

demonstrate() {
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  work=$(mktemp -d "${TMPDIR:-/tmp}/imgcachefs-quickstart.XXXXXX")
  mkdir "$work/images" "$work/mnt"

  say "Making a sample image of $sample_mib MiB with its SHA256SUMS, and serving it with nginx"
  head -c "${sample_mib}M" /dev/urandom >"$work/images/$sample"
  (cd "$work/images" && sha256sum "$sample" >SHA256SUMS)
  local url=''
  start_nginx

  say "Mounting $url on $work/mnt"
  mount_here "$url" "$work/mnt" -o "cache_dir=$work/cache,max_size=1G"

  say "Reading it cold: it is fetched, checked and kept"
  local cold warm requests bytes
  cold=$(timed_read) || die "reading failed: $cold"
  echo "$cold"
  say "Reading it warm: it is on this disk"
  warm=$(timed_read) || die "reading failed: $warm"
  echo "$warm"
  read -r requests bytes < <(upstream_traffic)

  say "imgcachectl -m $work/mnt list"
  "$bin/imgcachectl" -m "$work/mnt" list
  say "imgcachectl -m $work/mnt status"
  "$bin/imgcachectl" -m "$work/mnt" status

  say "Comparing its checksum with upstream's SHA256SUMS"
  (cd "$work/mnt" && sha256sum -c "$work/images/SHA256SUMS")

  say "Unmounting"
  unmount "$work/mnt"
  flock -w 30 "$work/cache" true || warn "the daemon does not end" # it holds this while it lives

  cat <<END

It works.
  image:     $sample, $sample_mib MiB, checksum right
  cold:      $cold
  warm:      $warm
  upstream:  $bytes bytes in $requests requests for two reads and a checksum
             (the image has $((sample_mib * 1024 * 1024)))
Your own next:  scripts/quickstart.sh http://HOST/DIR/ MOUNTPOINT
END
}

case ${1-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
if (($# == 1)); then
  usage >&2
  exit 2
fi

can_mount || exit 1
if (($# == 0)); then
  install_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${DEMO_PACKAGES[@]}"
  build
  demonstrate
else
  install_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}"
  build
  mount_users_own "$@"
fi
