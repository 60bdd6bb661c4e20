"""suite_stress_ng.py - stress-ng's stressors of memory, which verify what they have written (--verify).

Those that take memory until the system has none (bigheap, brk, stack, oom-pipe) are left out: they end other programs.
"""
import re

import suite

# Those whose own data come from malloc, or that move its memory about; two processes of each.
STRESSORS = {
    "malloc": ["--malloc-bytes", "64m", "--malloc-pthreads", "4"],
    "malloc-thresh": ["--malloc-bytes", "64m", "--malloc-thresh", "4k", "--malloc-max", "8192"],
    "malloc-touch": ["--malloc-bytes", "32m", "--malloc-touch", "--malloc-zerofree"],
    "vm": ["--vm-bytes", "64m"], "bsearch": [], "heapsort": [], "hsearch": [], "judy": [], "list": [], "lsearch": [],
    "madvise": [], "matrix": [], "matrix-3d": [], "mcontend": [], "memcpy": [], "memfd": [], "memthrash": [],
    "mergesort": [], "mincore": [], "mmap": ["--mmap-bytes", "64m"], "mmapfork": [],
    "mremap": ["--mremap-bytes", "32m"], "munmap": [], "pipe": [], "prefetch": [], "pthread": [], "qsort": [],
    "radixsort": [], "remap": [], "shellsort": [], "skiplist": [], "sparsematrix": [], "stackmmap": [], "str": [],
    "stream": [], "tree": [], "tsearch": [], "vm-rw": ["--vm-rw-bytes", "16m"], "wcs": [], "zlib": [], "fork": [],
    "vfork": [], "clone": [], "tlb-shootdown": [], "sigsegv": [], "userfaultfd": [],
}


class Suite(suite.Suite):
    name = "stress_ng"
    loaded = ("stress-ng",)
    seconds = 300

    def steps(self):
        timeout = "20s" if self.full else "2s"
        return [suite.Step(name, ["stress-ng", "--" + re.sub("^(malloc)-.*", r"\1", name), "2", *more, "--verify",
                                  "--timeout", timeout, "--temp-path", "."]) for name, more in STRESSORS.items()]

    def verdicts(self, folder, output):
        return {"verify": "fail" if re.search(r"^stress-ng: fail:", output, re.MULTILINE) else "pass"}
