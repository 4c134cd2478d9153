"""hostctl and the HTTP listener of a running host-server: who may speak, what is answered, and how it ends."""

import json
import os
import pty
import signal
import socket
import ssl
import stat
import subprocess
import termios
import time

import pytest

from lib.host import Host, split_address
from lib.process import program, wait_until


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path).start()
    yield host
    host.stop()


def speak(address, *lines, body=b"", context=None, name=None, half=False):
    """Sends a raw request and returns what comes until the server closes."""
    with socket.create_connection(split_address(address), timeout=20) as link:
        if context is not None:
            link = context.wrap_socket(link, server_hostname=name)
        answer = b""
        try:
            link.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            if half:
                link.shutdown(socket.SHUT_WR)
            while part := link.recv(65536):
                answer += part
        except OSError as error:  # the server has ended it
            if isinstance(error, (TimeoutError, ssl.SSLError)):
                raise
        return answer.decode()


def get(host, path, *headers, method="GET"):
    answer = speak(host.addresses["http"], f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers)
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def test_status_says_how_the_server_is(host):
    [status] = host.hostctl_json("status")
    assert status["domain"] == host.domain and status["ready"] is True and status["uptime_s"] < 60
    assert status["http"]["address"] == host.addresses["http"]
    assert status["sessions"] == 0
    assert status["checks"]["store"] == "ok" and status["checks"]["modules"] == "ok"
    assert status["store"] == {"market_backlog": 0, "chat_backlog": 0} and isinstance(status["vendor_code"], str)
    text = host.hostctl("status").stdout
    assert "domain" in text and host.domain in text and "{" not in text


def test_health_and_readiness(host):
    code, head, body = get(host, "/healthz")
    assert code == 200 and json.loads(body) == {"status": "ok"}
    assert "cache-control: no-store" in head.lower() and "x-content-type-options: nosniff" in head.lower()
    code, _head, body = get(host, "/readyz")
    assert code == 200 and json.loads(body)["ready"] is True
    assert get(host, "/healthz", method="HEAD")[0] == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="vendor code runs here")
def test_modules_that_cannot_run_are_not_ready(host):
    """As root, without users of their own for modules, none runs; that matters once there are any."""
    folder = host.data / "modules"
    folder.mkdir(exist_ok=True)
    assert get(host, "/readyz")[0] == 200
    (folder / "libx-keygen.so").write_bytes(b"x")
    [module] = host.hostctl_json("module", "list")
    assert module["module"] == "libx-keygen.so" and module["state"] == "refused"
    code, _head, body = get(host, "/readyz")
    assert code == 503 and json.loads(body)["checks"]["modules"] == "vendor code cannot run"
    assert get(host, "/healthz")[0] == 200
    assert host.hostctl_json("status")[0]["ready"] is False


@pytest.mark.parametrize("path, method, code", [
    ("/", "GET", 404), ("/healthz/", "GET", 404), ("//healthz", "GET", 404), ("/healthz/..", "GET", 404),
    ("/%68ealthz", "GET", 404), ("/healthz", "POST", 405), ("/healthz", "BREW", 405), ("/healthz?x", "GET", 200)])
def test_route_is_found_by_its_exact_path(host, path, method, code):
    assert get(host, path, method=method)[0] == code


def test_listener_bears_nonsense(tmp_path):
    """Whatever is said, the next one is served."""
    host = Host(tmp_path, config={"limits": {"http_idle_s": 1}}).start()
    address = host.addresses["http"]
    for lines in [["\x00\x01\x02"], ["GET"], ["GET /healthz HTTP/9.9", "Host: x"], ["GET /healthz HTTP/1.1"],
                  ["GET /healthz HTTP/1.1", "Host: x", "Content-Length: x"],
                  ["GET /healthz HTTP/1.1", "Host: x", "A" * 100000 + ": b"],
                  ["GET /" + "a" * 100000 + " HTTP/1.1", "Host: x"],
                  ["POST /healthz HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "", "zz"],
                  ["PRI * HTTP/2.0", "", "SM"]]:
        answer = speak(address, *lines, half=True)
        assert " 200 " not in answer.partition("\r\n")[0]
        assert get(host, "/healthz")[0] == 200
    host.stop()


def test_connections_of_one_address_are_limited(tmp_path):
    host = Host(tmp_path, config={"limits": {"http_connections_per_address": 5, "http_request_s": 2}}).start()
    try:
        address = split_address(host.addresses["http"])
        links = [socket.create_connection(address, timeout=20) for _i in range(5)]
        assert speak(host.addresses["http"], "GET /healthz HTTP/1.0") == ""
        for link in links:  # they say nothing whole, and are ended for it
            link.sendall(b"GET /healthz HTTP/1.1\r\n")
        for link in links:
            assert link.recv(100) == b""
            link.close()
        wait_until(lambda: " 200 " in speak(host.addresses["http"], "GET /healthz HTTP/1.0"), what="room again")
    finally:
        host.stop()


def test_plain_http_is_for_loopback_only(tmp_path):
    host = Host(tmp_path, config={"http": {"listen": "0.0.0.0:0"}})
    status, output = host.fail_start()
    assert status != 0 and "loopback" in output
    assert not (host.data / "addresses.json").exists()


def test_https_takes_a_new_certificate_on_sighup(tmp_path):
    host = Host(tmp_path)
    host.groups["http"].update(certificate=host.certificate.certificate, private_key=host.certificate.private_key)
    host.write_config()
    host.start()
    try:
        first = host.certificate.client_context()
        answer = speak(host.addresses["http"], "GET /healthz HTTP/1.0", context=first, name=host.domain)
        assert answer.startswith("HTTP/1.") and " 200 " in answer.splitlines()[0]
        assert " 200 " not in speak(host.addresses["http"], "GET /healthz HTTP/1.0")

        host.certificate.__init__(host.folder, host.domain)  # a new one in the same files
        second = host.certificate.client_context()
        os.kill(host.process.pid, signal.SIGHUP)

        def has_new():
            try:
                return " 200 " in speak(host.addresses["http"], "GET /healthz HTTP/1.0", context=second,
                                        name=host.domain)
            except ssl.SSLCertVerificationError:
                return False
        wait_until(has_new, what="the new certificate")
        with pytest.raises(ssl.SSLCertVerificationError):
            speak(host.addresses["http"], "GET /healthz HTTP/1.0", context=first, name=host.domain)
        # A broken file leaves the good one in place.
        host.certificate.certificate.write_text("nonsense")
        os.kill(host.process.pid, signal.SIGHUP)
        time.sleep(0.3)
        assert " 200 " in speak(host.addresses["http"], "GET /healthz HTTP/1.0", context=second, name=host.domain)
    finally:
        host.stop()


def test_control_socket_is_its_owners_alone(host):
    path = host.data / "control.sock"
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode) and mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_user_is_not_heard(host):
    """Even with the file's permissions opened, the peer's identity counts."""
    path = host.data / "control.sock"
    path.chmod(0o666)
    for folder in [host.data, *host.data.parents]:
        if folder.stat().st_uid == 0 and folder != folder.parent and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    code = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1]);"
            "sys.exit(len(s.recv(10)))")
    run = subprocess.run(["/usr/bin/python3", "-c", code, path], user=65534, group=65534, extra_groups=[],
                         capture_output=True, text=True, timeout=20)
    assert run.returncode == 0, run.stderr
    assert host.hostctl("status").returncode == 0


def test_hostctl_exit_codes(host):
    assert host.hostctl("status", check=False).returncode == 0
    assert host.hostctl("user", "remove", f"nobody@{host.domain}", check=False).returncode == 1
    assert host.hostctl("user", "frobnicate", check=False).returncode == 2
    assert host.hostctl("user", "add", check=False).returncode == 2
    assert host.hostctl("user", "add", f"x@{host.domain}", stdin="", check=False).returncode == 2
    assert host.hostctl("--bogus", check=False).returncode == 2
    help_text = host.hostctl("help").stdout
    names = [line[2:].split("  ")[0] for line in help_text.splitlines()]
    assert names == sorted(names) and len(names) > 10 and "status" in names
    assert "[--dry-run]" in host.hostctl("help", "pool").stdout and "user add" not in host.hostctl("help", "pool").stdout


def test_hostctl_without_server_says_so(tmp_path):
    host = Host(tmp_path)
    run = host.hostctl("status", check=False)
    assert run.returncode == 3 and "no server" in run.stderr
    missing = subprocess.run([program("hostctl"), "--config", tmp_path / "none", "status"], capture_output=True)
    assert missing.returncode == 2


def test_users_by_hostctl(host):
    host.add_user("alice")
    host.add_user("bob")
    assert host.hostctl("user", "add", f"alice@{host.domain}", stdin="other-word\n", check=False).returncode == 1
    listed = json.dumps(host.hostctl_json("user", "list"))
    assert f"alice@{host.domain}" in listed and f"bob@{host.domain}" in listed
    host.hostctl("user", "passwd", f"alice@{host.domain}", stdin="another-word\n")
    host.login("alice", password="another-word").close()
    host.hostctl("user", "remove", f"bob@{host.domain}")
    assert f"bob@{host.domain}" not in json.dumps(host.hostctl_json("user", "list"))
    assert "another-word" not in host.process.log() and "secret-word" not in host.process.log()


@pytest.mark.parametrize("typed, ends", [(b"typed-secret\n", 0), (b"half\x03", -signal.SIGINT)])
def test_password_is_typed_without_echo_and_echo_comes_back(host, typed, ends):
    child, terminal = pty.fork()
    if child == 0:
        os.execv(program("hostctl"), ["hostctl", "--config", str(host.config_path), "user", "add", f"zoe@{host.domain}"])
    shown = b""
    while b"password: " not in shown:
        shown += os.read(terminal, 1000)
    wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, what="no echo")
    os.write(terminal, typed)
    wait_until(lambda: termios.tcgetattr(terminal)[3] & termios.ECHO, what="echo again")
    while True:
        try:
            part = os.read(terminal, 1000)
        except OSError:
            break
        if not part:
            break
        shown += part
    status = os.waitpid(child, 0)[1]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == ends and b"secret" not in shown and b"half" not in shown
    assert (f"zoe@{host.domain}" in host.hostctl("user", "list").stdout) == (ends == 0)


def test_killed_server_leaves_nothing_in_the_way(host):
    host.restart(hard=True)
    assert host.hostctl("status").returncode == 0
