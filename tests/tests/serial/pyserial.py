"""Runs pyserial's own tests on a port: pyserial.py FOLDER PORT SECONDS.

Some of them ask how long something took, or whether it has happened after a twentieth of a second. One
that fails is repeated, for so many seconds in all. The last line is "RAN number, FAILED names".
"""

import os
import sys
import time
import unittest


def flatten(suite):
    """The tests of a suite of suites."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def load(folder, port):
    """All tests, made for that port."""
    sys.path[:0] = [os.path.dirname(folder), folder]
    tests = []
    for name in sorted(os.listdir(folder)):
        module, ending = os.path.splitext(name)
        if not module.startswith("test") or ending != ".py":
            continue
        module = __import__(module)
        module.PORT = port
        tests.extend(flatten(unittest.defaultTestLoader.loadTestsFromModule(module)))
    return tests


def passes(test):
    """Whether it passes, or is skipped."""
    # A test that has run is not the same any more.
    again = type(test)(test.id().rsplit(".", 1)[1])
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2)
    return runner.run(again).wasSuccessful()


def main(folder, port, seconds):
    """Runs them."""
    tests = load(folder, port)
    failed = [test for test in tests if not passes(test)]
    end = time.monotonic() + float(seconds)
    while len(failed) > 1 and time.monotonic() < end:
        failed = [test for test in failed if not passes(test)]
    print("RAN", len(tests), "FAILED", *(test.id() for test in failed))


main(*sys.argv[1:])
