"""A guest to boot: Debian with systemd and an ssh server, made by mmdebstrap, as a qcow2."""

import pathlib
import re
import shutil
import time

import children
from children import Child, Failed

SUITE = "bookworm"
PACKAGES = "systemd-sysv,udev,openssh-server,linux-image-cloud-amd64"
MARKER = "IMGCACHEFS-BENCH: the first service is up"
# ssh.service tells systemd when it listens, so this comes when a login is possible.
UNIT = f"""[Unit]
Description=Says on the console that the guest serves
Requires=ssh.service
After=ssh.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "{MARKER}" >/dev/ttyS0'

[Install]
WantedBy=multi-user.target
"""
# Some hosts cannot set this register of "host" for a guest.
KVM, EMULATED = ["-accel", "kvm", "-cpu", "host,-arch-capabilities"], ["-accel", "tcg", "-cpu", "max"]
COMMAND_LINE = "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=false"


class Guest:
    """Its image lies with those of upstream, kernel and initrd beside; kept between runs.

    The kernel is given to qemu directly: every side has it at once, and boots the same.
    """

    def __init__(self, directory, images):
        self.directory = pathlib.Path(directory)
        self.image = "guest.qcow2"
        self.path = images.path(self.image)
        self.kernel = self.directory / "vmlinuz"
        self.initrd = self.directory / "initrd.img"
        self.processor = KVM

    def make(self):
        if self.path.exists():
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        root, raw = self.directory / "root", self.directory / "guest.raw"
        shutil.rmtree(root, ignore_errors=True)
        unit = self.directory / "bench-ready.service"
        unit.write_text(UNIT)
        try:
            children.run(
                ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={PACKAGES}",
                 f"--customize-hook=copy-in {unit} /etc/systemd/system",
                 '--customize-hook=chroot "$1" systemctl enable bench-ready.service', SUITE, root],
                timeout=1800)
            shutil.copyfile(next((root / "boot").glob("vmlinuz-*")), self.kernel)
            shutil.copyfile(next((root / "boot").glob("initrd.img-*")), self.initrd)
            raw.unlink(missing_ok=True)
            children.run(["mke2fs", "-q", "-t", "ext4", "-d", root, raw, "2G"])
            part = self.directory / "guest.part"
            children.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, part])
            shutil.move(part, self.path)
        finally:
            shutil.rmtree(root, ignore_errors=True)
            raw.unlink(missing_ok=True)

    def choose_processor(self, scratch):
        """KVM, if a guest comes up with it (nested, it may not); else why it is emulated."""
        try:
            self.boot(self.path, scratch, timeout=60)
            return None
        except Failed as e:
            self.processor = EMULATED
            return str(e)

    def reads(self, scratch):
        """What a boot reads of the image, in order: (offset, length). Recorded once, and kept."""
        record = self.directory / "reads"
        if not record.exists():
            log, socket = scratch / "nbdkit.log", scratch / "log.sock"
            with Child(["nbdkit", "-f", "-r", "-U", socket, "--filter=log", "file", self.path,
                        f"logfile={log}"], scratch / "nbdkit.out") as nbdkit:
                nbdkit.wait_until(socket.exists, "serving")
                self.boot(f"nbd+unix:///?socket={socket}", scratch)
            record.write_text("".join(f"{int(offset, 16)} {int(count, 16)}\n" for offset, count in
                                      re.findall(r" Read id=\S+ offset=(\S+) count=(\S+)",
                                                 log.read_text())))
        return [tuple(map(int, line.split())) for line in record.read_text().splitlines()]

    def boot(self, backing, scratch, timeout=120):
        """Seconds from making the overlay until the first service is up."""
        overlay = scratch / "overlay.qcow2"
        overlay.unlink(missing_ok=True)
        start = time.perf_counter()
        children.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", "qcow2",
                      overlay], timeout)
        console = scratch / "console.log"
        console.unlink(missing_ok=True)
        with Child(["qemu-system-x86_64", *self.processor, "-m", "512", "-display", "none",
                    "-monitor", "none", "-serial", "stdio", "-no-reboot", "-nodefaults", "-nic",
                    "none", "-drive", f"file={overlay},format=qcow2,if=virtio", "-kernel",
                    self.kernel, "-initrd", self.initrd, "-append", COMMAND_LINE],
                   console) as qemu:
            qemu.wait_until(lambda: MARKER in console.read_text(errors="replace"),
                            "the guest's first service", timeout)
            return time.perf_counter() - start
