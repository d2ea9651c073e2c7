"""Runs pyserial's own tests on a port: pyserial.py FOLDER PORT SLOW.

Those that break off what takes long run on the port SLOW, whose bytes take the time of a line.

Some of them ask how long something took, or whether it has happened after a twentieth of a second. One of
those that fails is repeated with more time: what they sleep is longer each time. All others have to pass at
once. The last line is "RAN number FAILED names".
"""

import os
import sys
import time
import unittest

# Those that ask for the time.
TIMED = (
    "test.Test2_Forever.",
    "test.Test3_Timeout.",
    "test.Test4_Nonblocking.",
    "test.Test_MoreTimeouts.",
    "test_cancel.",
    "test_iolib.",
    "test_pty.",
    "test_readline.",
    "test_rs485.",
    "test_threaded.",
    "test_timeout_class.",
)

# A sleep of less than a second is for what was sent to come back: it may take so many times as long.
PATIENCE = (1, 5, 20)

sleep = time.sleep


def flatten(suite):
    """The tests of a suite of suites."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def load(folder, port, slow):
    """All tests, made for their ports."""
    sys.path[:0] = [os.path.dirname(folder), folder]
    tests = []
    # Those that break writes off last: what was on its way comes back to whoever opens the port next.
    names = sorted(os.listdir(folder), key=lambda name: ("cancel" in name, name))
    for name in names:
        module, ending = os.path.splitext(name)
        if not module.startswith("test") or ending != ".py":
            continue
        module = __import__(module)
        module.PORT = slow if "cancel" in name else port
        tests.extend(flatten(unittest.defaultTestLoader.loadTestsFromModule(module)))
    return tests


def passes(test, patience):
    """Whether it passes, or is skipped."""
    # A test that has run is not the same any more.
    again = type(test)(test.id().rsplit(".", 1)[1])
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2)
    time.sleep = lambda length: sleep(length * patience if length < 1 else length)
    try:
        return runner.run(again).wasSuccessful()
    finally:
        time.sleep = sleep


def main(folder, port, slow):
    """Runs them."""
    tests = load(folder, port, slow)
    failed = tests
    for patience in PATIENCE:
        failed = [
            test
            for test in failed
            if patience > 1 and not test.id().startswith(TIMED)
            or not passes(test, patience)
        ]
    print("RAN", len(tests), "FAILED", *(test.id() for test in failed))


main(*sys.argv[1:])
