"""image.py - writes an initramfs: a cpio archive in the format that the kernel unpacks ("newc").

Nothing has to exist as it will be there: owners and device nodes are only written down, so that no right is needed.
"""
import os
import pathlib
import re
import stat
import subprocess
import tempfile

MAGIC = "070701"
ALIGNMENT = 4
LIBRARY = re.compile(r"(/\S+) \(0x")


def padded(data):
    return data + b"\0" * (-len(data) % ALIGNMENT)


class Image:
    def __init__(self):
        self.parts = []
        self.names = set()

    def add(self, name, mode, data=b"", device=(0, 0)):
        """One entry; folders above it are added as needed. What is there already stays."""
        name = name.strip("/")
        if name in self.names:
            return
        above = os.path.dirname(name)
        if above:
            self.folder(above)
        self.names.add(name)
        self.write(name, mode, data, device)

    def write(self, name, mode, data, device=(0, 0)):
        encoded = name.encode() + b"\0"
        fields = [len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0]
        head = MAGIC + "".join("%08X" % field for field in fields)
        self.parts.append(padded(head.encode() + encoded) + padded(data))

    def folder(self, name):
        self.add(name, stat.S_IFDIR | 0o755)

    def link(self, name, target):
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def file(self, name, path, strip=None):
        """A file with its mode; with `strip`, that tool takes out of a program what only debuggers read."""
        path = pathlib.Path(path)
        data = path.read_bytes()
        if strip and data.startswith(b"\x7fELF"):
            with tempfile.NamedTemporaryFile() as stripped:
                subprocess.run([strip, "--strip-debug", "-o", stripped.name, path], check=True)
                data = pathlib.Path(stripped.name).read_bytes()
        self.add(name, stat.S_IFREG | stat.S_IMODE(path.stat().st_mode), data)

    def libraries(self, path):
        """The shared libraries of a program of this machine, where it looks for them."""
        told = subprocess.run(["ldd", path], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        for library in LIBRARY.findall(told.stdout):
            self.file(library, library)

    def save(self, path):
        self.write("TRAILER!!!", 0, b"")
        pathlib.Path(path).write_bytes(b"".join(self.parts))
