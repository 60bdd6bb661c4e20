"""suite_lua.py - what Debian has of tests for Lua: those of LPeg, a library in C, with the installed lua5.4.

Debian's source of Lua comes without Lua's own tests. To make more of these, they run under each kind of collection,
the last of which never pauses.
"""
import suite

COLLECTIONS = {"as-it-is": "", "generational": "collectgarbage('generational')",
               "without-pause": "collectgarbage('incremental', 100, 400)"}


class Suite(suite.Suite):
    name = "lua"
    loaded = ("lua5.4",)
    package = "lua-lpeg"

    def prepare(self):
        self.prepared()

    def steps(self):
        return [suite.Step(name, ["/usr/bin/lua5.4", "-e", code, "test.lua"], self.source)
                for name, code in COLLECTIONS.items()]
