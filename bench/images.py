"""The images that upstream serves. They are kept between runs."""

import hashlib
import os
import pathlib

from measure import warm_up

BLOCK = 1 << 20
SUMS = {"sha256": "SHA256SUMS", "sha512": "SHA512SUMS", "md5": "MD5SUMS"}


class Images:
    """A directory that upstream serves: `plain/`, and one beside it for each kind of digest."""

    def __init__(self, directory):
        self.root = pathlib.Path(directory)
        (self.root / "plain").mkdir(parents=True, exist_ok=True)

    def random(self, size):
        """An image of incompressible bytes, in the page cache from here on; its file name."""
        name = self._made(f"random-{size >> 20}m.img", size, self._fill)
        warm_up(self.path(name))
        return name

    def sparse(self, size, number=0):
        """An image of zeros that takes no room on the server. Upstream sends every byte of it."""
        return self._made(f"sparse-{size >> 20}m-{number}.img", size, lambda file: None)

    def copies(self, size, count):
        """Images of the same random bytes, one file of many names; the names."""
        first = self.root / "plain" / self.random(size)
        names = [f"random-{size >> 20}m-{n}.img" for n in range(count)]
        for name in names:
            if not (self.root / "plain" / name).exists():
                os.link(first, self.root / "plain" / name)
        return names

    def with_digest(self, name, algorithm):
        """The directory where the image lies beside a list of its checksum."""
        directory = self.root / algorithm
        directory.mkdir(exist_ok=True)
        if not (directory / name).exists():
            os.link(self.path(name), directory / name)
        sums = directory / SUMS[algorithm]
        lines = sums.read_text().splitlines() if sums.exists() else []
        if not any(line.endswith("  " + name) for line in lines):
            with open(self.path(name), "rb") as f:
                lines.append(f"{hashlib.file_digest(f, algorithm).hexdigest()}  {name}")
            sums.write_text("\n".join(lines) + "\n")
        return algorithm

    def path(self, name):
        return self.root / "plain" / name

    def _made(self, name, size, fill):
        path = self.path(name)
        if not path.exists():
            part = path.with_suffix(".part")
            with open(part, "wb") as file:
                file.truncate(size)
                fill(file)
            part.rename(path)
        return name

    @staticmethod
    def _fill(file):
        size = os.fstat(file.fileno()).st_size
        for offset in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - offset)))
