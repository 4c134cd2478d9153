"""Starts that must fail say why, before anything is opened; and what the machine does to a running server."""

import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess

import pytest

from lib.host import Host
from lib.process import program, wait_until
from lib.stanza import CLIENT
from lib.xmpp import error_condition


@pytest.fixture
def host_with(tmp_path):
    """A host that is not started, with one thing in its configuration changed."""
    def make(group, key, value):
        host = Host(tmp_path / "host", config={group: {key: value}})
        return host
    return make


@pytest.mark.parametrize("group, key, value", [
    ("server", "domian", "stoa.test"),
    ("serevr", "domain", "stoa.test"),
    ("server", "domain", "not a domain"),
    ("server", "domain", None),
    ("server", "data", None),
    ("xmpp", "listen", "127.0.0.1"),
    ("xmpp", "listen", "127.0.0.1:99999"),
    ("xmpp", "listen", "nowhere:x"),
    ("xmpp", "tls", "maybe"),
    ("xmpp", "engine", "warp"),
    ("limits", "stanza_bytes", "lots"),
    ("limits", "stanza_bytes", "-1"),
    ("limits", "stanza_byte", "1000"),
    ("registration", "open", "perhaps"),
    ("market", "late_payment", "never"),
    ("market", "poll_s", "5,x"),
])
def test_mistakes_in_the_configuration(host_with, group, key, value):
    host = host_with(group, key, value)
    status, output = host.fail_start()
    assert status not in (0, None) and status > 0, output
    assert str(host.config_path) in output and group in output and key in output, output
    assert not any(host.data.iterdir()), "something was opened before the configuration was right"


def test_optional_tls_needs_loopback(host_with):
    host = host_with("xmpp", "tls", "optional")
    host.groups["xmpp"]["listen"] = "0.0.0.0:0"
    host.write_config()
    status, output = host.fail_start()
    assert status > 0 and "tls" in output, output


def test_no_configuration_file(tmp_path):
    run = subprocess.run([program("host-server"), "--config", tmp_path / "none.conf"], capture_output=True, text=True,
                         timeout=10, check=False)
    assert run.returncode > 0 and "none.conf" in run.stderr


@pytest.mark.parametrize("what", ["missing", "garbage", "wrong key"])
def test_certificate_that_cannot_be_used(host_with, tmp_path, what):
    path = tmp_path / "bad.pem"
    if what == "garbage":
        path.write_text("this is no certificate\n")
    elif what == "wrong key":
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out",
                        path], check=True, capture_output=True)
    host = host_with("xmpp", "private_key" if what == "wrong key" else "certificate", path)
    status, output = host.fail_start()
    assert status > 0 and "bad.pem" in output, output


def test_port_that_is_taken(host_with):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, output = host_with("xmpp", "listen", address).fail_start()
    assert status > 0 and address in output, output


def test_data_folder_that_is_no_folder(tmp_path):
    host = Host(tmp_path / "host")
    shutil.rmtree(host.data)
    host.data.write_text("")
    run = subprocess.run([program("host-server"), "--config", host.config_path], capture_output=True, text=True,
                         timeout=10, check=False)
    assert run.returncode > 0 and str(host.data) in run.stderr + run.stdout


def test_a_second_server_on_the_same_data_is_refused(own_host):
    own_host.start()
    own_host.add_user("alice")
    run = subprocess.run([program("host-server"), "--config", own_host.config_path], capture_output=True, text=True,
                         timeout=10, check=False)
    assert run.returncode > 0, run.stdout + run.stderr
    own_host.login("alice").close()
    own_host.hostctl("user", "list")


@pytest.mark.parametrize("name", ["market.db", "chat.db"])
@pytest.mark.parametrize("damage", ["garbage", "cut", "newer"])
def test_database_that_is_damaged(own_host, name, damage):
    own_host.start()
    own_host.add_user("alice")
    own_host.stop()
    path = next(own_host.data.rglob(name))
    for leftover in ("-wal", "-shm"):
        pathlib.Path(str(path) + leftover).unlink(missing_ok=True)
    if damage == "garbage":
        path.write_bytes(b"not a database at all " * 500)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:700])
    else:
        with sqlite3.connect(path) as database:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            version = next(table for table in tables if "schema" in table or "version" in table)
            columns = [row[1] for row in database.execute(f"PRAGMA table_info ({version})")]
            database.execute(f"UPDATE {version} SET {columns[1]} = 9999")
    status, output = own_host.fail_start()
    assert status > 0 and name in output, output


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to leave root")
def test_data_folder_that_cannot_be_written(own_host):
    own_host.folder.chmod(0o755)
    for parent in own_host.folder.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    own_host.data.chmod(0o555)
    own_host.certificate.private_key.chmod(0o644)

    def become_nobody():
        os.setgid(65534)
        os.setuid(65534)
    process = own_host.spawn(preexec=become_nobody)
    status = process.popen.wait(10)
    own_host.process = None
    assert status > 0 and str(own_host.data) in process.log(), process.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
@pytest.mark.timeout_s(120)
def test_full_disk(tmp_path):
    """Nothing is acknowledged that is not stored; when there is room again, service goes on."""
    host = Host(tmp_path / "host")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", host.data], capture_output=True, text=True,
                             check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no mount: {mounted.stderr.strip()}")
    try:
        host.start()
        for name in ("alice", "bob"):
            host.add_user(name)
        with host.login("alice") as alice:
            kept = []
            filler = host.data / "filler"
            with open(filler, "wb", buffering=0) as out:
                try:
                    while out.write(b"x" * 4096) == 4096:
                        pass
                except OSError:
                    pass
            refused = 0
            for number in range(60):
                alice.send(f"<message to='bob@stoa.test' id='{number}' type='chat'><body>{'x' * 4000}</body></message>")
                errors = [element for element in alice.barrier() if element.get("type") == "error"]
                if errors:
                    refused += 1
                    assert error_condition(errors[0])[1] in ("resource-constraint", "internal-server-error",
                                                             "service-unavailable")
                else:
                    kept.append(str(number))
            assert refused > 0, "the disk was never full"
            filler.unlink()

            def works_again():
                alice.send("<message to='bob@stoa.test' id='after' type='chat'><body>x</body></message>")
                return not [element for element in alice.barrier() if element.get("type") == "error"]
            wait_until(works_again, what="storing again")
        host.restart(hard=True)
        with host.login("bob") as bob:
            bob.send("<presence/>")
            got = [element.get("id") for element in bob.barrier() if element.tag == f"{{{CLIENT}}}message"]
            assert [name for name in got if name != "after"] == kept
            assert "after" in got
        host.stop()
    finally:
        if host.process:
            host.kill()
        subprocess.run(["umount", host.data], check=False)
