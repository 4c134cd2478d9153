"""The README's tour, block by block as it stands there, by an ordinary user with the installed programs on the path.
Only the ports are others, and the charging page's button is pressed by the test."""

import contextlib
import http.client
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.parse

import pytest

from lib.billing import Form
from lib.process import BUILD, ROOT


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def press(url, button):
    parts = urllib.parse.urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request("GET", parts.path)
        form = Form(connection.getresponse().read().decode())
        connection.request("POST", form.action, urllib.parse.urlencode({**form.fields, "action": button}),
                           {"Content-Type": "application/x-www-form-urlencoded"})
        connection.getresponse().read()


@pytest.fixture
def tour():
    """A shell in an empty folder; pytest's own folders are closed to other users."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="stoa-tour-"))
    top.chmod(0o755)
    installed, folder = top / "installed", top / "tour"
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", installed], check=True,
                   stdout=subprocess.DEVNULL)
    folder.mkdir()
    prefix = []
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        prefix = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    environment = {"PATH": f"{installed}/usr/local/bin:/usr/bin:/bin", "HOME": str(folder),
                   "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}
    shell = subprocess.Popen([*prefix, "bash", "-eu"], cwd=folder, env=environment, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    yield shell
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    shell.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        shell.stdin.close()
    shutil.rmtree(top)


@pytest.mark.timeout_s(60)
def test_the_tour_of_the_readme_works_as_it_stands(tour):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(blocks) == 4
    script = "".join(blocks)
    for old, new in zip(("5222", "8443", "8081"), free_ports(3)):
        script = re.sub(rf"(?<=127\.0\.0\.1:){old}\b", str(new), script)
    said, pressed = [], []

    def read():
        for line in tour.stdout:
            said.append(line)
            charge = re.search(r"http://127\.0\.0\.1:\d+/pay/\S+", line)
            if charge and not pressed:
                pressed.append(charge[0].rstrip(".,;)"))
                press(pressed[0], "pay")
            if line == "tour-is-over\n":
                return

    reader = threading.Thread(target=read)
    reader.start()
    tour.stdin.write(script + "\necho tour-is-over\n")
    tour.stdin.flush()
    reader.join(50)
    text = "".join(said)
    assert text.endswith("tour-is-over\n"), text
    assert "Are you there?" in text
    assert pressed, text
    assert re.search(r"dice.*fulfilled|fulfilled.*dice", text), text
