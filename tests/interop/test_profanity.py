"""profanity in a terminal of tmux, typed at as a person does."""

import os
import pathlib
import shutil
import subprocess
import uuid

import pytest

from lib.host import Host
from lib.process import wait_until

pytestmark = pytest.mark.skipif(not (shutil.which("profanity") and shutil.which("tmux")),
                                reason="profanity and tmux are not installed")


@pytest.fixture
def host(tmp_path):
    server = Host(tmp_path / "host").start()
    for name in ("alice", "bob"):
        server.add_user(name)
    yield server
    server.stop()


class Terminal:
    """A tmux server of its own, with one window."""

    def __init__(self, folder, command):
        self.tmux = ["tmux", "-L", f"stoa-{uuid.uuid4().hex[:8]}", "-f", "/dev/null"]
        pathlib.Path(folder).mkdir(exist_ok=True)
        environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"),
                       "XDG_DATA_HOME": str(folder / "share"), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        subprocess.run([*self.tmux, "new-session", "-d", "-x", "160", "-y", "50", command], env=environment, check=True)

    def type(self, text):
        subprocess.run([*self.tmux, "send-keys", "-l", text], check=True)
        subprocess.run([*self.tmux, "send-keys", "Enter"], check=True)

    def screen(self):
        return subprocess.run([*self.tmux, "capture-pane", "-p"], check=True, capture_output=True, text=True).stdout

    def wait_for(self, *words, timeout=15):
        try:
            wait_until(lambda: any(word in self.screen() for word in words), timeout, f"'{words[0]}' on the screen")
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.screen()}") from None

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], check=False, capture_output=True)


def test_profanity_logs_in_and_chats(host, tmp_path):
    terminal = Terminal(tmp_path, "profanity")
    try:
        terminal.wait_for("Type '/help'")
        terminal.type(f"/connect alice@stoa.test server 127.0.0.1 port {host.address[1]} tls trust")
        terminal.wait_for("Enter password")
        terminal.type("secret-word")
        terminal.wait_for("logged in successfully")
        with host.login("bob", "desk") as bob:
            bob.send("<presence/>")
            bob.barrier()
            terminal.type("/msg bob@stoa.test hello from a terminal é")
            message = bob.skip_until("<message type='chat'><body>hello from a terminal é</body></message>")
            assert message.get("from").startswith("alice@stoa.test/")
            bob.send(f"<message to='{message.get('from')}' type='chat' id='b'><body>and hello back</body></message>")
            terminal.wait_for("and hello back")
            terminal.type("/sub request bob@stoa.test")
            bob.skip_until("<presence type='subscribe' from='alice@stoa.test'/>")
        terminal.type("/quit")
    finally:
        terminal.close()
