#!/usr/bin/env bash
# Run by scripts/test-package.sh in a bare root, in namespaces of its own.
set -euo pipefail

say() { printf '\n--> %s\n' "$*"; }
die() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
# expect WHAT COMMAND...
expect() {
  local what=$1
  shift
  "$@" || die "$what: $*"
}
apt() { apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@"; }
install_revision() { apt install "/packages/$1/imgcachefs.deb"; }

# All that a package could leave, without what apt and dpkg note of their own work.
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /srv \
    -o -path /mnt -o -path /var/lib/apt -o -path /var/cache/apt -o -path /var/log/apt \
    -o -path /packages -o -path /trial \) -prune -o -print |
    grep -vxE '/var/lib/dpkg/[^/]+|/var/log/dpkg.log|/var/cache/ldconfig(/.*)?|/etc/fstab' | sort
}
daemon_of() { pgrep -f -x "imgcachefs .* $1 .*|imgcachefs .* $1"; }
exe_of() { readlink "/proc/$1/exe"; }
same() { cmp -s "$@"; }

apt update
say "What it depends on comes first: it is not what is looked at"
depends=$(dpkg-deb -f /packages/1/imgcachefs.deb Depends)
apt satisfy "$depends"

say "An upstream"
mkdir -p /srv/upstream /mnt/images /mnt/other
head -c 64M /dev/urandom >/srv/upstream/first.img
head -c 64M /dev/urandom >/srv/upstream/second.img
(cd /srv/upstream && sha256sum -- *.img >SHA256SUMS)
chmod -R a+rX /srv
nginx -c /trial/nginx.conf
mkdir -p /etc/systemd/system/multi-user.target.wants
files >/tmp/before

say "Install"
install_revision 1
expect "files are as packed" dpkg --verify imgcachefs
expect "no mount by installing" test -z "$(findmnt -n -t fuse.imgcachefs)"
expect "helper" test -x /sbin/mount.imgcachefs
expect "cache directory" test "$(stat -c %a /var/cache/imgcachefs)" = 700
# Nothing of an image comes but what is read, so there is a rest to fetch after the upgrade.
printf 'max_size = 1G\nfill = demand\n' >>/etc/imgcachefs/imgcachefs.conf

say "Mount from fstab"
echo "http://127.0.0.1:8099/ /mnt/images imgcachefs _netdev,nofail,allow_other,config=/etc/imgcachefs/imgcachefs.conf 0 0" >/etc/fstab
mount -a
expect "mounted" test "$(findmnt -n -o FSTYPE /mnt/images)" = fuse.imgcachefs
expect "a read" same /mnt/images/first.img /srv/upstream/first.img
expect "cached" grep -q first.img <(imgcachectl -m /mnt/images list)
old=$(daemon_of /mnt/images)

say "Upgrade while readers have images open, one cached and one not yet"
exec 7</mnt/images/first.img 8</mnt/images/second.img
head -c 1M <&7 >/tmp/first
head -c 1M <&8 >/tmp/second
install_revision 2
version=$(dpkg-query -W -f '${Version}' imgcachefs)
expect "the new revision" test "${version##*-}" = 2
expect "the daemon goes on" test "$(daemon_of /mnt/images)" = "$old"
expect "with the program it was started from" test "$(exe_of "$old")" = "/usr/bin/imgcachefs (deleted)"
expect "one of them is cold yet" grep -q second.img <(imgcachectl -m /mnt/images list --incomplete)
cat <&7 >>/tmp/first
cat <&8 >>/tmp/second
exec 7<&- 8<&-
expect "the rest of a cached image" same /tmp/first /srv/upstream/first.img
expect "the rest of a cold image" same /tmp/second /srv/upstream/second.img
expect "what was changed in /etc stays" grep -qx "max_size = 1G" /etc/imgcachefs/imgcachefs.conf
mount -t imgcachefs http://127.0.0.1:8099/ /mnt/other -o cache_dir=/tmp/other
expect "a new mount is of the new program" test "$(exe_of "$(daemon_of /mnt/other)")" = /usr/bin/imgcachefs
umount /mnt/other
umount /mnt/images
mount -a
expect "mounted again" same /mnt/images/first.img /srv/upstream/first.img

say "Remove while it is mounted"
apt remove imgcachefs 2>&1 | tee /tmp/removal
expect "the mount is named" grep -qx "  /mnt/images" /tmp/removal
expect "no program is left" test ! -e /usr/bin/imgcachefs
expect "the mount goes on" same /mnt/images/second.img /srv/upstream/second.img

say "Purge while it is mounted"
apt purge imgcachefs 2>&1 | tee /tmp/removal
expect "the cache in use is kept" grep -q "a mount is at work on" /tmp/removal
expect "the mount goes on" same /mnt/images/first.img /srv/upstream/first.img
expect "configuration is gone" test ! -e /etc/imgcachefs
umount /mnt/images
while pgrep -x imgcachefs >/dev/null; do sleep 0.1; done

say "Purge keeps images"
install_revision 2
apt purge imgcachefs 2>&1 | tee /tmp/removal
expect "it says so" grep -q "kept the images in /var/cache/imgcachefs" /tmp/removal
expect "they are there" same /var/cache/imgcachefs/first.img /srv/upstream/first.img
files | comm -13 /tmp/before - >/tmp/left
expect "nothing else is left: $(grep -v '^/var/cache/imgcachefs' /tmp/left || true)" \
  test -z "$(grep -v '^/var/cache/imgcachefs' /tmp/left || true)"

say "Purge takes them along where that was said before"
install_revision 1
touch /etc/imgcachefs/purge-cache
# As `systemctl enable imgcachefs@images` does.
ln -s /lib/systemd/system/imgcachefs@.service /etc/systemd/system/multi-user.target.wants/imgcachefs@images.service
apt purge imgcachefs
files >/tmp/after
diff /tmp/before /tmp/after || die "the files before and after are not the same"

say "Purge takes an empty cache along"
install_revision 1
apt purge imgcachefs
files >/tmp/after
diff /tmp/before /tmp/after || die "the files before and after are not the same"
nginx -c /trial/nginx.conf -s stop
