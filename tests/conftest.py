"""What all Python tests share: a time-out for each, and the choice by name."""

import pathlib
import re
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

DEFAULT_TIMEOUT_S = 60


def pytest_addoption(parser):
    parser.addoption("--only", metavar="PATTERN",
                     help="only tests whose file::name matches this regular expression")
    parser.addoption("--server", choices=["stoa", "prosody"], default="stoa", help="who the system tests talk to")


def pytest_configure(config):
    config.addinivalue_line("markers", "timeout_s(seconds): time-out of this test instead of the default")


def pytest_collection_modifyitems(config, items):
    pattern = config.getoption("only")
    if pattern is None:
        return
    chosen = [item for item in items if re.search(pattern, item.nodeid)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """The alarm covers fixtures too: a server that does not stop is a failure of its test."""
    mark = item.get_closest_marker("timeout_s")
    limit = mark.args[0] if mark else DEFAULT_TIMEOUT_S

    def too_late(_signal, _frame):
        pytest.fail(f"not finished after {limit} s", pytrace=True)

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(limit)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
