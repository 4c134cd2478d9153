"""The demo is the first thing a new user runs: it goes through, and says what it shows."""

import subprocess
import sys

import pytest

from lib.process import ROOT


@pytest.mark.timeout_s(120)
def test_the_demo_tells_the_whole_story():
    run = subprocess.run([sys.executable, ROOT / "tests/demo/demo.py", "--once"], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=110)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    for said in ["bob reads, from alice@stoa.example/", "Shall we go to Lisbon?", "/weather Lisbon → Lisbon:",
                 "/quote patience → ", "/roll 2d6 → 2d6:", "declined, 0 payments; bob's serials: none",
                 "no question, no purchase", "Everything that was started has been stopped."]:
        assert said in run.stdout
    assert run.stdout.count("state='paid'") == 3
