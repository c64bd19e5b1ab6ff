"""A card for the emulated board: Debian 12 for arm64 with systemd and sshd, made without root.

debootstrap only unpacks here; its second stage runs on the emulated board itself, as the first thing that it does, so
that neither root, nor a chroot, nor anything that runs ARM programs on this computer is needed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from deploy.board_emulation.packages import MIRROR, SUITE, ArmPackages
from ecotf.errors import EcotfError
from ecotf.files import lock

NEEDED = {
    "qemu-system-aarch64": "qemu-system-arm", "qemu-img": "qemu-utils", "debootstrap": "debootstrap",
    "fakeroot": "fakeroot", "mke2fs": "e2fsprogs", "cpio": "cpio", "depmod": "kmod", "mcopy": "mtools",
    "mkfs.vfat": "dosfstools", "ssh-keygen": "openssh-client",
}  # fmt: skip
# As on a Raspberry Pi OS Lite, except python3-venv: init --offline must do without.
INCLUDE = "systemd-sysv,systemd-timesyncd,udev,openssh-server,sudo,python3,libpam-systemd,dbus,alsa-utils"
# snd-aloop is a sound card whose one end plays what the other end records: the board's microphone.
_MODULES = (
    "virtio_mmio", "virtio_blk", "virtio_net", "virtio_rng", "crc32c_generic", "ext4", "vfat", "nls_cp437",
    "nls_ascii", "nls_iso8859-1", "snd_aloop",
)  # fmt: skip
_IMAGE_SIZE = "2G"
_SECOND_STAGE_S = 3600

_INIT = """\
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /root /sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module" || echo "no module $module"; done < /modules/order
until [ -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 -o rw /dev/vda /root || exec sh
if [ -x /root/debootstrap/debootstrap ]; then
  mount -t proc proc /root/proc; mount -o bind /dev /root/dev; mount -t sysfs sysfs /root/sys
  export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive
  chroot /root /debootstrap/debootstrap --second-stage && chroot /root /bin/sh /setup.sh && echo "SECOND STAGE DONE"
  umount /root/proc /root/sys /root/dev 2>/dev/null; sync; umount /root; poweroff -f
fi
umount /proc /sys
exec switch_root /root /sbin/init
"""

_SETUP = """\
set -e
echo recorder01 > /etc/hostname
echo "127.0.0.1 localhost recorder01" > /etc/hosts
useradd --create-home --shell /bin/bash --groups audio pi
echo "pi ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/010_pi
mkdir -p /home/pi/.ssh /boot/firmware
cat /login_key.pub > /home/pi/.ssh/authorized_keys
chown -R pi:pi /home/pi/.ssh; chmod 700 /home/pi/.ssh
printf '/dev/vda / ext4 defaults,noatime 0 1\\n/dev/vdb /boot/firmware vfat defaults,nofail 0 2\\n' > /etc/fstab
printf '[Match]\\nName=e*\\n[Network]\\nDHCP=ipv4\\n' > /etc/systemd/network/20-wired.network
systemctl enable systemd-networkd systemd-timesyncd ssh
systemctl disable systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer || true
rm -f /setup.sh /login_key.pub /var/cache/apt/archives/*.deb
"""


class BoardImage:
    """The files of the emulated board in a folder; built once, and then only copied on write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "board.img"
        self.kernel = folder / "vmlinuz"
        self.initrd = folder / "initrd"
        self.login_key = folder / "login_key"

    def build(self) -> None:
        """Build what is not there yet; ten minutes or so.

        Raises
        ------
        EcotfError
            A program is missing, another process is at it, or the second stage failed.
        """
        missing = sorted({package for program, package in NEEDED.items() if not _which(program)})
        if missing:
            raise EcotfError(f"needs programs that are not here; run: sudo apt install {' '.join(missing)}")
        self.folder.mkdir(parents=True, exist_ok=True)
        busy = "another process (process {pid}) builds or uses the board; wait for it"
        self._lock = lock(self.folder / "lock", busy)  # until the process ends
        if self.disk.exists():
            return
        scratch = self.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        if not self.login_key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.login_key], check=True)
        self._kernel(scratch)
        partial = self._unpack(scratch)
        self._second_stage(partial)
        os.replace(partial, self.disk)
        shutil.rmtree(scratch, ignore_errors=True)

    def _kernel(self, scratch: Path) -> None:
        """A kernel, and a first file system in memory with the drivers of the board's disk."""
        packages, root = ArmPackages(scratch / "apt"), scratch / "kernel"
        packages.unpack([packages.kernel("arm64"), "busybox-static"], root)
        kernel = next(root.glob("boot/vmlinuz-*"))
        version = kernel.name.removeprefix("vmlinuz-")
        shutil.copy(kernel, self.kernel)
        subprocess.run([str(_which("depmod")), "-b", root, version], check=True)
        first = scratch / "initrd"
        (first / "bin").mkdir(parents=True)
        (first / "modules").mkdir()
        shutil.copy(root / "bin/busybox", first / "bin/busybox")
        modules = root / "lib/modules" / version
        order = module_order((modules / "modules.dep").read_text(encoding="utf-8"), _MODULES)
        for module in order:
            shutil.copy(modules / module, first / "modules" / Path(module).name)
        names = "".join(f"{Path(module).name}\n" for module in order)
        (first / "modules/order").write_text(names, encoding="utf-8")
        (first / "init").write_text(_INIT, encoding="utf-8")
        (first / "init").chmod(0o755)
        files = "\n".join(str(path.relative_to(first)) for path in [first, *sorted(first.rglob("*"))])
        with self.initrd.open("wb") as archive:
            subprocess.run(
                ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], input=files.encode(), cwd=first,
                stdout=archive, check=True,
            )  # fmt: skip

    def _unpack(self, scratch: Path) -> Path:
        """The first stage, and a disk image of it; fakeroot keeps who owns what from one call to the next."""
        root, owners, partial = scratch / "root", scratch / "owners", self.folder / "board.img.part"
        saved = ["fakeroot", "-s", str(owners)]
        words = ["--foreign", "--arch=arm64", "--variant=minbase", f"--include={INCLUDE}", SUITE, str(root), MIRROR]
        with (self.folder / "debootstrap.log").open("wb") as log:
            subprocess.run([*saved, str(_which("debootstrap")), *words], check=True, stdout=log, stderr=log)
        (root / "setup.sh").write_text(_SETUP, encoding="utf-8")
        shutil.copy(self.login_key.with_suffix(".pub"), root / "login_key.pub")
        # Nobody minds if a power cut ruins an installation that is made anew anyway.
        (root / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True, exist_ok=True)
        (root / "etc/dpkg/dpkg.cfg.d/quick").write_text("force-unsafe-io\n", encoding="utf-8")
        partial.unlink(missing_ok=True)
        make = [str(_which("mke2fs")), "-q", "-t", "ext4", "-d", str(root), str(partial), _IMAGE_SIZE]
        subprocess.run(["fakeroot", "-i", str(owners), *make], check=True, stdout=subprocess.DEVNULL)
        return partial

    def _second_stage(self, disk: Path) -> None:
        log = self.folder / "second_stage.log"
        began = time.monotonic()
        words = [
            "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024", "-display", "none",
            "-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", "console=ttyAMA0 panic=-1",
            "-serial", f"file:{log}", "-drive", f"if=none,id=card,format=raw,cache=unsafe,file={disk}",
            "-device", "virtio-blk-device,drive=card", "-device", "virtio-rng-device", "-no-reboot", "-nic", "none",
        ]  # fmt: skip
        subprocess.run(words, check=True, timeout=_SECOND_STAGE_S)
        if "SECOND STAGE DONE" not in log.read_text(encoding="utf-8", errors="replace"):
            raise EcotfError(f"the second stage of debootstrap failed; see {log}")
        print(f"second stage: {time.monotonic() - began:.0f} s")


def module_order(dependencies: str, wanted: tuple[str, ...]) -> list[str]:
    """Files of kernel modules in the order in which they load, from ``modules.dep``; built-in ones are left out."""
    files = dict(re.findall(r"^(\S+):(.*)$", dependencies, re.MULTILINE))
    by_name = {Path(file).name.partition(".")[0].replace("-", "_"): file for file in files}
    order: list[str] = []
    for name in wanted:
        file = by_name.get(name.replace("-", "_"))
        # modules.dep names the nearest dependency first.
        for needed in [*reversed(files[file].split()), file] if file else []:
            if needed not in order:
                order.append(needed)
    return order


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
