"""tap.py - runs unittest's cases and prints TAP, one line for each test, named as the claim that it is.

Callers: the scripts of this folder, as their last line: sys.exit(tap.main())
"""

import sys
import unittest


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.good = self.count = 0

    def tell(self, test, good, comment="", directive=""):
        self.count += 1
        self.good += good
        print(f"{'ok' if good else 'not ok'} {self.count} - {test.id().rpartition('.')[2].removeprefix('test_')}{directive}")
        for line in comment.splitlines():
            print(f"# {line}")
        sys.stdout.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.tell(test, True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell(test, True, directive=f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, False, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test, False, self.errors[-1][1])


def main():
    """Runs every test case of the script that was started. 0 when all passed."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = TapResult()
    suite.run(result)
    print(f"1..{result.count}")
    return 0 if result.count > 0 and result.good == result.count else 1
