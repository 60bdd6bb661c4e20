"""watch.py - which programs below this process have a library mapped: the proof that a suite ran on it, or did not.

Used by: suites.py, around each run of a suite.

A thread looks through /proc every 50 ms. A process whose parent has ended becomes a child of this one (subreaper),
so that nobody leaves the tree; its end is collected here, since suites look whether their servers are gone.

I1  loaded holds the names of executables in which the library was mapped, bare of those in which it was not (yet)
I2  each name is a line of the log when it is first seen: "with NAME" or "without NAME"
"""
import ctypes
import os
import signal
import threading

PR_SET_CHILD_SUBREAPER = 36
INTERVAL_S = 0.05
LOOKS = 6               # at a process without the library: the loader may not have mapped it yet


def adopt_orphans():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def processes():
    """{pid: (parent, state, time of start)} of the whole machine."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue                    # it has ended
        found[int(name)] = (int(fields[1]), fields[0].decode(), int(fields[19]))
    return found


def descendants(root, found):
    children = {}
    for pid, (parent, _, _) in found.items():
        children.setdefault(parent, []).append(pid)
    below, left = [], [root]
    while left:
        more = children.get(left.pop(), [])
        below += more
        left += more
    return below


def kill_below(root):
    """Ends all processes below root, those included that are born meanwhile."""
    while True:
        found = processes()
        alive = [pid for pid in descendants(root, found) if found[pid][1] != "Z"]
        if not alive:
            return
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Watch(threading.Thread):
    """with Watch(library, log) as watch: ...   then watch.loaded, watch.bare"""

    def __init__(self, library, log):
        super().__init__(daemon=True)
        self.library = os.path.realpath(library).encode()
        self.log = log
        self.loaded, self.bare = set(), set()
        self.keep = set()               # pids whose end somebody else collects; grows under the lock, with the fork
        self.lock = threading.Lock()
        self.looks = {}                 # (pid, start, executable): looks left
        self.done = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()
        self.look_around()

    def run(self):
        while not self.done.wait(INTERVAL_S):
            self.look_around()

    def look_around(self):
        with self.lock:
            found = processes()
            for pid, (parent, state, _) in found.items():
                if state == "Z" and parent == os.getpid() and pid not in self.keep:
                    collect(pid)
        for pid in descendants(os.getpid(), found):
            if found[pid][1] != "Z":
                self.look(pid, found[pid][2])

    def look(self, pid, start):
        try:
            executable = os.readlink(f"/proc/{pid}/exe")
            key = (pid, start, executable)
            if self.looks.setdefault(key, LOOKS) == 0:
                return
            with open(f"/proc/{pid}/maps", "rb") as file:
                has = self.library in file.read()
        except OSError:
            return                      # it has ended
        self.looks[key] = 0 if has else self.looks[key] - 1
        self.note(os.path.basename(executable), has)

    def note(self, name, has):
        names = self.loaded if has else self.bare
        if name in names:
            return
        names.add(name)
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"{'with' if has else 'without'} {name}\n")


def collect(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
