"""docs/plugin-guide.md, followed to the letter: its files are written, its commands typed, and what it says one sees is
seen."""

import os
import re
import shlex
import stat
import subprocess

import pytest

from lib.host import Host
from lib.plugins import AS_NOBODY, Ground
from lib.process import ROOT, program

GUIDE = ROOT / "docs/plugin-guide.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
MARK = "=== block"


@pytest.fixture
def server(tmp_path):
    one = Host(tmp_path / "server").start()
    yield one
    one.stop()


@pytest.fixture
def ground(server):
    one = Ground(server)
    yield one
    one.close()


def write_client(folder, device):
    """A host-client that is `you@example.org` on the test's server."""
    folder.mkdir()
    words = [*AS_NOBODY, program("host-client"), "--account", device.jid, "--config", device.folder, "--password-fd", 9,
             "--server", "%s:%d" % device.address, "--pin", device.pin]
    path = folder / "host-client"
    path.write_text("#!/bin/bash\n"
                    f'[ "$1 $2" = "--account you@example.org" ] || exit 99; shift 2\n'
                    f'exec {shlex.join(map(str, words))} "${{@/you@example.org/{device.jid}}}" 9<<<{device.password}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


def script(text):
    """The guide as one script that says before each of its blocks which one it is; and what is to be seen behind them."""
    lines, seen, folder = ["set -e"], {}, ""
    for number, (kind, name, body) in enumerate(BLOCK.findall(text)):
        if name:
            lines.append(f"cat > {name} <<'END OF FILE'\n{body}END OF FILE")
        elif kind == "sh":
            lines += [f"echo '{MARK} {number}'", body]
            last = number
        elif kind == "text":
            seen[last] = body.splitlines()
    return "\n".join(lines), seen, folder


def test_the_guide_leads_from_an_empty_folder_to_a_plugin_that_works(server, ground):
    server.add_user("you")
    device = ground.device("you")
    source, seen, _folder = script(GUIDE.read_text())
    empty = ground.folder / "empty"
    empty.mkdir()
    environment = {**os.environ, "PATH": f"{write_client(ground.folder / 'bin', device)}:{os.environ['PATH']}",
                   "STOA_INCLUDE": str(ROOT / "plugin-abi/include")}
    done = subprocess.run(["bash", "-m", "-c", source], cwd=empty, env=environment, capture_output=True, text=True, timeout=90)
    said = done.stdout.replace(device.jid, "you@example.org")
    assert done.returncode == 0, f"{said}\n{done.stderr}"
    parts = {int(part.split("\n", 1)[0]): part.split("\n")[1:] for part in said.split(f"{MARK} ")[1:]}
    assert len(seen) >= 3
    for number, lines in seen.items():
        for line in lines:
            assert any(line.strip() in one for one in parts[number]), f"{line!r} in {parts[number]}"


def test_every_state_and_reason_that_the_guide_explains_exists():
    rows = GUIDE.read_text().split("| what you see |")[1].split("\n\n")[0]
    sources = "".join(path.read_text() for folder in ("host-client/core", "plugin-abi/runner")
                      for path in (ROOT / folder).glob("*.c"))
    for words in re.findall(r"^\| `([^`]+)`", rows, re.M):
        for part in re.split(r"…|crashed \(|\)| from a system call", words):
            assert part.strip() in sources or not part.strip(), part
