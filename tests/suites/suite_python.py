"""suite_python.py - CPython's regression tests, with Debian's interpreter; each module in a process of its own."""
import subprocess
import xml.etree.ElementTree

import suite

PYTHON = "/usr/bin/python3.11"
RUN = [PYTHON, "-m", "test", "--timeout", "600"]

# Memory, containers, threads, processes, and the extension modules in C.
CHOICE = """
    array ast asyncio bigmem binascii builtin bytes bz2 capi class codecs collections compile concurrent_futures copy
    csv ctypes datetime dbm decimal defaultdict deque descr dict difflib dtrace email exceptions faulthandler
    finalization float fork1 frozenset functools gc generators hashlib heapq io itertools json list long lzma marshal
    memoryview mmap multiprocessing_fork multiprocessing_spawn mutex ordered_dict os pickle posix pyexpat queue re
    resource sax set shelve signal slice socket sort sqlite3 ssl str struct subprocess super sys tarfile tempfile
    thread threadedtempfile threading threading_local threadsignals tokenize tracemalloc tuple types unicodedata
    weakref xml_etree xml_etree_c zipfile zlib
""".split()


class Suite(suite.Suite):
    name = "python"
    loaded = ("python3.11",)

    def steps(self):
        told = subprocess.run([PYTHON, "-m", "test", "--list-tests"], capture_output=True, text=True, check=True)
        modules = [line for line in told.stdout.split() if line.startswith("test_")]
        chosen = [module for module in modules if self.full or module.removeprefix("test_") in CHOICE]
        return [suite.Step(module, [*RUN, "--junit-xml", "results.xml", module]) for module in chosen]

    def verdicts(self, folder, output):
        path = folder / "results.xml"
        found = {}
        if not path.exists():
            return found
        for case in xml.etree.ElementTree.parse(path).iter("testcase"):
            kinds = {child.tag for child in case}
            verdict = "fail" if kinds & {"failure", "error"} else "skip" if "skipped" in kinds else "pass"
            if found.get(case.get("name"), "pass") == "pass":
                found[case.get("name")] = verdict
        return found
