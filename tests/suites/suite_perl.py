"""suite_perl.py - Perl's core tests, from its source, with the installed perl and its modules."""
import os
import re
import shutil

import suite

MODULES = ["/usr/share/perl/5.36", "/usr/lib/x86_64-linux-gnu/perl/5.36", "/usr/lib/x86_64-linux-gnu/perl-base"]
CHOICE = ["base", "cmd", "comp", "opbasic", "op", "io"]
FULL = ["re", "uni", "mro", "lib"]


class Suite(suite.Suite):
    name = "perl"
    loaded = ("perl",)
    package = "perl"
    seconds = 600

    def prepare(self):
        self.prepared()
        for folder in MODULES:
            shutil.copytree(folder, self.source / "lib", dirs_exist_ok=True)
        for place in (self.source / "perl", self.source / "t" / "perl"):
            if not os.path.lexists(place):
                place.symlink_to("/usr/bin/perl")

    def steps(self):
        tests = self.source / "t"
        patterns = [f"{folder}/*.t" for folder in CHOICE + (FULL if self.full else [])]
        return [suite.Step(name, ["/usr/bin/perl", *self.switches(tests / name), name], tests)
                for name in suite.files(tests, *patterns)]

    @staticmethod
    def switches(path):
        """Taint mode works only when the command line asks for it, too."""
        first = path.read_text(errors="replace").split("\n", 1)[0]
        return re.findall(r"\s(-[A-Za-z]*[Tt][A-Za-z]*)", first) if first.startswith("#!") else []

    def verdicts(self, folder, output):
        return suite.tap_verdicts(output)
