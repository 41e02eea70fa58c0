# shellcheck shell=bash disable=SC2034
# What imgcachefs needs of Debian 12, by purpose: the one list of it. Sourced by the other scripts.

BUILD_PACKAGES=(
  g++ cmake ninja-build pkg-config
  libfuse3-dev libcurl4-openssl-dev libssl-dev libsqlite3-dev libspdlog-dev libfmt-dev libxxhash-dev
  libcli11-dev nlohmann-json3-dev libyaml-cpp-dev libexpected-dev
  libhiredis-dev prometheus-cpp-dev libmicrohttpd-dev libsystemd-dev libcap-ng-dev
)

# Beside the libraries, which come with the build: fusermount3, and the CAs for https upstreams.
RUN_PACKAGES=(fuse3 ca-certificates)

# What makes the Debian package of it; lintian looks it over (scripts/package.sh).
PACKAGE_PACKAGES=(dpkg-dev file)

# The upstream of quickstart's own demonstration.
DEMO_PACKAGES=(nginx)

TEST_PACKAGES=(
  libgtest-dev libgmock-dev clang-format
  nginx redis-server openssl qemu-utils attr e2fsprogs mount util-linux procps curl python3
  tmux zsh
)

# Real upstreams, and Glance's own classes and tools for its cache directory (tests/real).
REAL_PACKAGES=(
  glance-api glance-common python3-glance python3-xattr sqlite3
  keystone python3-keystone uwsgi-core uwsgi-plugin-python3
  docker-registry skopeo apache2-utils
  prometheus chromium
  libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86
)

# What is measured with, and the peers that are measured beside (scripts/bench.sh).
BENCH_PACKAGES=(
  nginx curl openssl fio git python3 python3-matplotlib
  rclone httpdirfs nbdkit libnbd-bin qemu-utils qemu-block-extra
  qemu-system-x86 mmdebstrap e2fsprogs
  iproute2 iptables procps mount util-linux
)
