"""suite_git.py - Git's tests in shell, with the git that its source builds."""
import suite

CHOICE = ["t0[0-6]*.sh", "t1[03]*.sh", "t3[03]*.sh", "t40*.sh", "t530*.sh", "t55*.sh", "t60*.sh"]
NOT_FULL = ("t91", "t94", "t95", "t96", "t98")      # git-svn, git-remote-cvs, git-p4
BUILD = ["make", "-j2", "CFLAGS=-O1", "NO_CURL=1", "NO_EXPAT=1", "NO_GETTEXT=1", "NO_OPENSSL=1", "NO_TCLTK=1"]


class Suite(suite.Suite):
    name = "git"
    loaded = ("git",)
    package = "git"

    def prepare(self):
        self.prepared(BUILD)

    def steps(self):
        tests = self.source / "t"
        names = suite.files(tests, *(["t[0-9]*.sh"] if self.full else CHOICE))
        return [suite.Step(name.removesuffix(".sh"), ["sh", name, f"--root={self.place}/trash/{name[:5]}"], tests)
                for name in names if not name.startswith(NOT_FULL)]

    def verdicts(self, folder, output):
        return suite.tap_verdicts(output)
