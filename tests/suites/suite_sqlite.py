"""suite_sqlite.py - SQLite's tests in Tcl, one file at a time, with the test program that its source builds."""
import re

import suite

CHOICE = """
    alter* analyze* attach* autoinc* backup* between* blob* cast* check* collate* conflict* date* delete* distinct*
    e_select* expr* fkey1* fts3a* fts4a* func* hook* index[0-9]* in[0-9]* insert* intpkey* join* json1* like* limit*
    malloc3* mem5* memdb* memsubsys* minmax* mutex1* null* orderby1* pager1* pragma* printf* quote* rowid* rtree[0-9]*
    savepoint* schema* select[0-9]* shared* softheap* sort* subquery* table* temptable* thread[0-9]* threadtest*
    trans* trigger* types* unique* unionall* update* upsert* utf16* vacuum* view* vtab[0-9]* wal.test where*
    window[0-9]* with[0-9]* zeroblob*
""".split()

# These start all others, or want another program.
NO_TESTS = "(all|full|fuzzer|quick|veryquick|extraquick|permutations|async|soak|memleak|rtree|crash|bigsort)\\.test"

# Minutes each: every call of the system fails in turn, or ten thousand random steps.
SLOW = r"(.*ioerr.*|altermalloc.*|backup_malloc|savepoint[46]|thread003)\.test"

RESULT = re.compile(r"^\.*([^\s.]\S*)\.\.\.[ \t]*(.*)$", re.MULTILINE)

# Where each call of malloc fails in turn, all turns count as one test: how many calls there are depends on
# malloc_usable_size(), for SQLite uses all of a block before it asks for another.
FAILED_CALL = re.compile(r"(\bpc=|iFail=|(?:persistent|transient)\.|shared_malloc-\d+\.)\d+")


class Suite(suite.Suite):
    name = "sqlite"
    loaded = ("testfixture",)
    package = "sqlite3"
    seconds = 600

    def prepare(self):
        self.prepared(["./configure", "CFLAGS=-O1"], ["make", "-j2", "testfixture"])

    def steps(self):
        tests = self.source / "test"
        patterns = ["*.test"] if self.full else [name if "." in name else name + ".test" for name in CHOICE]
        return [suite.Step(name.removesuffix(".test"), [self.source / "testfixture", tests / name])
                for name in suite.files(tests, *patterns) if not re.fullmatch(NO_TESTS, name)
                and (self.full or not re.fullmatch(SLOW, name))]

    def verdicts(self, folder, output):
        found = {}
        for name, result in RESULT.findall(output):
            name = FAILED_CALL.sub(r"\1N", name)
            verdict = self.verdict(result)
            found[name] = verdict if found.get(name, "pass") == "pass" else found[name]
        return found

    @staticmethod
    def verdict(result):
        return "pass" if result.startswith("Ok") else "skip" if result.startswith("Omitted") else "fail"
