"""suite_redis.py - Redis's tests in Tcl, one unit at a time, with a server that calls libc's malloc."""
import re

import suite

CHOICE = """
    unit/auth unit/bitops unit/client-eviction unit/dump unit/expire unit/functions unit/geo unit/hyperloglog
    unit/info unit/introspection unit/keyspace unit/lazyfree unit/maxmemory unit/memefficiency unit/multi
    unit/obuf-limits unit/other unit/protocol unit/pubsub unit/querybuf unit/scan unit/scripting unit/slowlog
    unit/sort unit/tracking unit/type/hash unit/type/incr unit/type/list unit/type/set unit/type/stream
    unit/type/string unit/type/zset integration/aof integration/corrupt-dump integration/dismiss-mem integration/rdb
""".split()

RESULT = re.compile(r"^\S*\[(ok|err|exception|skip|ignore)\]\S*: (.*?)(?: \(\d+ ms\))?\S*$", re.MULTILINE)
VERDICTS = {"ok": "pass", "skip": "skip", "ignore": "skip"}


class Suite(suite.Suite):
    name = "redis"
    loaded = ("redis-server", "tclsh8.6")
    package = "redis"
    serial = True               # they measure latencies, and share ports

    def prepare(self):
        self.prepared(["make", "-j2", "MALLOC=libc", "OPTIMIZATION=-O1"])

    def steps(self):
        listed = re.search(r"^set ::all_tests \{(.*?)^\}", (self.source / "tests/test_helper.tcl").read_text(),
                           re.MULTILINE | re.DOTALL).group(1).split()
        return [suite.Step(unit, ["./runtest", "--clients", "1", "--durable", "--single", unit], self.source)
                for unit in listed if self.full or unit in CHOICE]

    def verdicts(self, folder, output):
        """A name that comes several times, in a loop with random numbers, counts as one test."""
        found = {}
        for kind, name in RESULT.findall(output):
            name = re.sub(r"\d{3,}", "N", name.split(" in tests/")[0])
            verdict = VERDICTS.get(kind, "fail")
            found[name] = verdict if found.get(name, "pass") == "pass" else found[name]
        return found
