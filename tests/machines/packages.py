"""packages.py - unpacks Debian packages of a processor into a folder, without installing them.

The lists of packages are kept beside, so that the machine's own, and its processor, do not matter.
"""
import pathlib
import re
import subprocess

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
KERNEL_IMAGES = {"amd64": "linux-image-amd64", "arm64": "linux-image-arm64"}   # each depends on the present one


class Packages:
    def __init__(self, place, processor):
        self.place = pathlib.Path(place).absolute()
        self.processor = processor
        lists = self.place / "lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        origin = self.place / "sources.list"
        origin.write_text(f"deb [arch={processor} signed-by={KEYS}] http://deb.debian.org/debian bookworm main\n")
        status = self.place / "status"                # nothing is installed
        status.touch()
        settings = {"Dir::Etc::SourceList": origin, "Dir::Etc::SourceParts": "/dev/null", "Dir::State::Lists": lists,
                    "Dir::State::status": status, "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "",
                    "APT::Architecture": processor, "APT::Architectures": processor, "APT::Sandbox::User": "root"}
        self.settings = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        if not list(lists.glob("*_Packages*")):
            self.run("apt-get", "-q", "update")

    def run(self, *command):
        """What the command prints. Raises subprocess.CalledProcessError, whose output says why."""
        return subprocess.run([command[0], *self.settings, *command[1:]], cwd=self.place, check=True, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def unpacked(self, package):
        """The folder with the package's files."""
        folder = self.place / package
        if not folder.exists():
            self.run("apt-get", "-q", "download", package)
            archive = sorted(self.place.glob(f"{package}_*.deb"))[-1]
            subprocess.run(["dpkg-deb", "-x", archive, f"{folder}.part"], check=True)
            archive.unlink()
            pathlib.Path(f"{folder}.part").rename(folder)
        return folder

    def kernel(self):
        """The path of Debian's kernel."""
        depends = self.run("apt-cache", "depends", KERNEL_IMAGES[self.processor])
        package = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
        return sorted((self.unpacked(package) / "boot").glob("vmlinuz-*"))[-1]
