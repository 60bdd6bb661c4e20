"""allocators.py - who is measured and where: finds the libraries, their versions, and what the machine is.

Uses:    aggregate.py for names; ldconfig, dpkg-query and git where they are to be had.
Callers: compare.py, counts.py.
"""

import datetime
import os
import pathlib
import platform
import re
import shutil
import subprocess

from aggregate import FLOOR, GLIBC, HAKMEM

# Debian's peers. name: (package, file to preload, as ldconfig knows it)
PEERS = {
    "jemalloc": ("libjemalloc2", "libjemalloc.so.2"),
    "mimalloc": ("libmimalloc2.0", "libmimalloc.so.2"),
    "tcmalloc": ("libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
    "tbbmalloc": ("libtbbmalloc2", "libtbbmalloc_proxy.so.2"),
}

# Variables by which allocators are tuned. Figures taken under them are not those of the defaults.
TUNING = re.compile(r"^(HAKMEM|MALLOC|MIMALLOC|JEMALLOC|TCMALLOC|TBB_MALLOC|RPMALLOC|SNMALLOC)_|^(GLIBC_TUNABLES|LD_PRELOAD)$")


def output_of(*command, **options):
    """Standard output of a tool, or "" when it is missing or fails."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    program = shutil.which(command[0], path=path)
    if program is None:
        return ""
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, errors="replace", check=False, **options)
    return done.stdout if done.returncode == 0 else ""


# ---- libraries ---------------------------------------------------------------------------------


def find_peer(package, file_name):
    for line in output_of("ldconfig", "-p").splitlines():
        name, _, path = line.strip().partition(" => ")
        if name.split(" ")[0] == file_name and os.path.exists(path):
            return path
    for path in output_of("dpkg", "-L", package).splitlines():
        if os.path.basename(path) == file_name and os.path.exists(path):
            return path
    return None


def choose(build, libraries, folder=None):
    """(name -> {"path", "version"}, complaints). The path "-" stands for no preload. `libraries`: more names and
    paths; a name that is known already is replaced. With a `folder` our own libraries are copied there and run
    from there: a build in the middle of a long comparison would change what is compared."""
    chosen, complaints = {}, []
    hakmem, floor = pathlib.Path(build, "libhakmem.so"), pathlib.Path(build, "bench", "libfloor.so")
    if hakmem.exists():
        chosen[HAKMEM] = placed(hakmem, folder)
    chosen[GLIBC] = "-"
    for name, (package, file_name) in PEERS.items():
        path = find_peer(package, file_name)
        if path is not None:
            chosen[name] = path
        elif name not in dict(libraries):
            complaints.append(f"{name} is missing and left out: apt-get install {package}")
    chosen.update(libraries)
    if floor.exists() and FLOOR not in chosen:
        chosen[FLOOR] = placed(floor, folder)
    if HAKMEM not in chosen:
        complaints.append(f"{HAKMEM} is missing: {hakmem} does not exist")
    described = {name: {"path": path, "version": version_of(name, path)} for name, path in chosen.items()}
    if HAKMEM in chosen and HAKMEM not in dict(libraries):
        described[HAKMEM]["version"] += commit_of_this_folder()
    return described, complaints


def placed(library, folder):
    return shutil.copy(library, folder) if folder else str(library.resolve())


def version_of(name, path):
    """What can be found out: Debian's package, hakmem's own words, or the git checkout that the file lies in."""
    if path == "-":
        return " ".join(platform.libc_ver())
    if name == FLOOR:
        return "moves a pointer, never frees"
    if name == HAKMEM:
        return hakmem_version(path)
    for candidate in (path, "/usr" + path):  # ldconfig names /lib, a link to the /usr/lib of the package
        package = output_of("dpkg-query", "-S", candidate).partition(":")[0]
        if package:
            return f"{package} " + output_of("dpkg-query", "-W", "-f", "${Version}", package)
    return checkout_version(path) or f"{os.path.basename(path)} of {day_of(path)}"


def hakmem_version(path):
    """The first words that the library says at start when it is asked to."""
    environment = {**os.environ, "LD_PRELOAD": path, "HAKMEM_VERBOSE": "1"}
    try:
        done = subprocess.run(["true"], env=environment, capture_output=True, text=True, errors="replace", check=False,
                              timeout=5)
        said = re.search(r"^hakmem: version (.*)", done.stderr, re.MULTILINE)
    except subprocess.TimeoutExpired:
        said = None
    return said.group(1) if said else f"{os.path.basename(path)} of {day_of(path)}"


def commit_of_this_folder():
    commit = output_of("git", "describe", "--always", "--dirty", "--exclude=*").strip()
    return f", commit {commit}" if commit else ""


def checkout_version(path):
    folder = os.path.dirname(path)
    here, there = (output_of("git", "-C", d, "rev-parse", "--show-toplevel").strip() for d in (".", folder))
    if not there or here == there:
        return ""
    return output_of("git", "-C", folder, "describe", "--tags", "--always").strip()


def day_of(path):
    return datetime.date.fromtimestamp(os.path.getmtime(path)).isoformat()


# ---- the machine -------------------------------------------------------------------------------


def first_line_of(path, pattern="(.*)"):
    try:
        found = re.search(pattern, pathlib.Path(path).read_text())
    except OSError:
        return ""
    return found.group(1).strip() if found else ""


def debian_release():
    return first_line_of("/etc/os-release", r'PRETTY_NAME="?([^"\n]*)')


def machine(build):
    """The processor, the system, and what the programs in the folder `build` were built by."""
    pages = first_line_of("/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]")
    memory_kib = int(first_line_of("/proc/meminfo", r"MemTotal:\s*(\d+)") or 0)
    hypervisor = "hypervisor" in first_line_of("/proc/cpuinfo", r"flags\s*:(.*)").split()
    return {
        "cpu": first_line_of("/proc/cpuinfo", r"model name\s*:\s*(.*)") or platform.machine(),
        "family": first_line_of("/proc/cpuinfo", r"cpu family\s*:\s*(.*)"),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": hypervisor,
        "memory_gib": round(memory_kib / 2**20),
        "huge_pages": pages or "none",
        "kernel": platform.release(),
        "system": debian_release(),
        "libc": " ".join(platform.libc_ver()),
        "compiler": first_line_of(pathlib.Path(build, "bench", "compiler")),
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "load_before": round(os.getloadavg()[0], 2),
        "environment": {k: v for k, v in sorted(os.environ.items()) if TUNING.search(k)},
    }
