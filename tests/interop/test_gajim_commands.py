"""Buying with gajim: the program itself on a screen of its own (Xvfb), its windows filled in and clicked."""

import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from lib.market import Shop

NEEDED = ("gajim", "xvfb-run", "xauth", "dbus-run-session")
pytestmark = pytest.mark.skipif(not all(shutil.which(program) for program in NEEDED),
                                reason=f"not all of {NEEDED} are installed")
NOBODY = 65534  # gajim refuses to run as root


@pytest.fixture
def shop(tmp_path):
    one = Shop(tmp_path / "shop")
    one.start()
    yield one
    one.stop()


class Gajim:
    def __init__(self, shop, user, plugin):
        # Not below the test's own folder, which is for this user alone.
        self.folder = folder = pathlib.Path(tempfile.mkdtemp(prefix="stoa-gajim-"))
        driver = folder / "driver.py"
        shutil.copy(pathlib.Path(__file__).with_name("gajim_driver.py"), driver)
        certificate = folder / "server.pem"
        shutil.copy(shop.host.certificate.certificate, certificate)
        prefix = []
        if os.geteuid() == 0:
            for path in (folder, driver, certificate):
                os.chown(path, NOBODY, NOBODY)
            prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "GDK_BACKEND": "x11",
                       "XDG_RUNTIME_DIR": str(folder), "NO_AT_BRIDGE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        address, port = shop.host.address
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [*prefix, "dbus-run-session", "--", "xvfb-run", "-a", "python3", driver, folder / "profile",
             f"{user}@{shop.host.domain}", "secret-word", address, str(port), certificate, f"market.{shop.host.domain}", plugin],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True,
            start_new_session=True)
        self.events = queue.Queue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.events.put(json.loads(line))

    def next(self, event, timeout=60):
        try:
            got = self.events.get(timeout=timeout)
        except queue.Empty:
            self.log.seek(0)
            raise AssertionError(f"nothing came where '{event}' was expected:\n{self.log.read()[-3000:]}") from None
        assert got["event"] == event, "\n".join([got["event"], *got.get("texts", [])])
        return got

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.process.wait(20)
        self.reader.join(20)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def test_gajim_buys(shop):
    gajim = Gajim(shop, shop.user(), "weather")
    try:
        choose = gajim.next("form")
        assert "Buy a plugin" in choose["texts"] and set(choose["buttons"]) == {"cancel", "next"}
        confirm = gajim.next("form")
        assert {"Buy Weather", "Weather 1.0, by acme", "Price: 5.00 EUR, for ever",
                "Paid at: stub (127.0.0.1)"} <= set(confirm["texts"])
        assert set(confirm["buttons"]) == {"cancel", "prev", "complete"}
        done = "\n".join(gajim.next("completed")["texts"])
        assert "awaiting-payment" in done and "A message tells you when it is yours." in done
        url = re.search(r"Pay 5\.00 EUR at 127\.0\.0\.1: (\S+)", done)[1]
        status, _page = shop.stub.press({"url": url}, "pay")
        assert status == 303
        assert "Weather is yours." in gajim.next("message")["texts"][0]
        mine = "\n".join(gajim.next("completed")["texts"])
        assert "Name: Weather\nState: active\nSerial: " in mine
        assert "Yours: yes" in "\n".join(gajim.next("completed")["texts"])
        assert "State: fulfilled" in "\n".join(gajim.next("completed")["texts"])
        assert "You have no order that waits to be paid." in "\n".join(gajim.next("completed")["texts"])
        gajim.next("done")
    finally:
        gajim.close()
