"""`hostctl vendor check`: what a vendor learns of a server before it sells. Against the sample servers, against each
mistake by itself, and against servers that know nothing of all this."""

import base64
import http.server
import json
import os
import sqlite3
import ssl
import subprocess
import threading

import pytest

from lib.certificate import Certificate
from lib.process import program
from lib.vendor import SECRET, PluginServer, PythonServer, SameAnswer

ROWS = ["issue", "serial", "expires", "same-request", "at-once", "other-request", "look-up", "look-up-unknown", "void",
        "void-again", "void-stays", "void-unseen", "unsigned", "bad-signature", "stale-signature", "other-body", "other-path",
        "unknown-plugin", "malformed", "tokens", "in-time", "clean-up"]
NEEDS_SERIAL = {"serial", "expires", "same-request", "at-once", "other-request", "look-up", "other-path"}
OTHER_SECRET = "whsec_" + base64.b64encode(b"another-" * 4).decode()


@pytest.fixture
def start(tmp_path):
    servers = []

    def start_server(*arguments, plugin="chess"):
        servers.append(PluginServer(tmp_path, plugin, *arguments).start())
        return servers[-1]
    yield start_server
    for server in servers:
        server.stop()


def run(url, *arguments, secret=SECRET, plugin="chess", **options):
    """hostctl without a configuration: a vendor has no host-server."""
    return subprocess.run([program("hostctl"), "vendor", "check", url, "--plugin", plugin, *arguments],
                          input=f"{secret}\n", capture_output=True, text=True, timeout=50, **options)


def check(url, *arguments, **options):
    """(exit code, {row: (result, reason)})."""
    done = run(url, *arguments, "--json", **options)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(row.keys() == {"check", "result", "reason"} for row in rows), done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, {row["check"]: (row["result"], row["reason"]) for row in rows}


def failed(rows):
    return {name for name, (result, _reason) in rows.items() if result == "fail"}


def skipped(rows):
    return {name for name, (result, _reason) in rows.items() if result == "skipped"}


@pytest.mark.parametrize("plugin, arguments", [("chess", []), ("chess", ["--term", "P1M"]), ("weather", ["--term", "P1Y"]),
                                               ("quotes", ["--term", "P1M"]), ("quotes", [])])
def test_sample_server_passes_every_row_and_keeps_nothing_of_it(start, tmp_path, plugin, arguments):
    server = start(plugin=plugin)
    code, rows = check(server.base, *arguments, plugin=plugin)
    assert (code, list(rows), failed(rows), skipped(rows)) == (0, ROWS, set(), set()), rows
    with sqlite3.connect(tmp_path / f"vendor-{plugin}" / "register.db") as db:
        requests = [name for name, in db.execute("SELECT request FROM requests")]
        [left] = db.execute("SELECT COUNT(*) FROM requests WHERE is_void = 0").fetchone()
    db.close()
    assert left == 0 and len(requests) >= 10
    assert all(name.startswith("check_") for name in requests), "no order has such a line"


def test_check_may_be_repeated(start):
    server = start()
    assert [check(server.base)[0] for _i in range(3)] == [0, 0, 0]


def test_python_sample_passes_every_row(tmp_path):
    sample = PythonServer(tmp_path, "chess", secret=f"{OTHER_SECRET}\n{SECRET}").start()
    try:
        for arguments in ([], ["--term", "P1M"], ["--term", "P2W"]):
            code, rows = check(sample.base, *arguments)
            assert (code, list(rows), failed(rows), skipped(rows)) == (0, ROWS, set(), set()), rows
        assert check(sample.base, secret=OTHER_SECRET)[0] == 0
        assert check(sample.base, secret=SECRET[:-8] + "AAAAAAA=")[0] == 1
    finally:
        sample.stop()


@pytest.mark.parametrize("fault, wrong", [
    ("html:1", {"issue"}), ("error:1", {"issue"}), ("busy:1", {"issue"}), ("refuse:1", {"issue"}), ("mumble:1", {"issue"}),
    ("lost:1", {"issue"}), ("deny:1", {"issue"}), ("redirect:1", {"issue"}),
    ("empty:1", {"serial", "same-request", "look-up"}), ("control:1", {"serial", "same-request", "look-up"}),
    ("huge:1", {"serial", "same-request", "look-up"}),
    ("change:1", {"same-request"}), ("change", {"same-request", "at-once"}), ("date:1", {"expires"}), ("forget:1", {"look-up"}),
    ("keep:2", {"void-stays"}), ("void-error:1", {"void"}), ("unseen:1", {"void-unseen"}),
    ("stale", {"stale-signature"}), ("any-plugin", {"unknown-plugin"}), ("crash", {"malformed"}),
    ("trust", {"unsigned", "bad-signature", "stale-signature", "other-body", "other-path", "tokens"}),
    ("same", {"other-request", "look-up", "void-stays", "void-unseen", "other-path"})])
def test_one_mistake_fails_its_row(start, fault, wrong):
    code, rows = check(start("--fault", fault).base, "--term", "P1M")
    assert code == 1 and failed(rows) == wrong, rows
    assert all(reason for result, reason in rows.values() if result == "fail")
    assert skipped(rows) == (NEEDS_SERIAL if "issue" in wrong else set())
    assert list(rows) == ROWS


def test_serial_of_another_user_is_noticed(start):
    server = start()
    server.issue("l_1.0")
    server.restart_with("--fault", "other")
    _code, rows = check(server.base)
    assert "other-request" in failed(rows) and "another user" in rows["other-request"][1]


@pytest.mark.parametrize("fault, says", [
    ("redirect:1", "a redirect, which the host never follows: a configuration fault"),
    ("html:1", "not a JSON object: a configuration fault"), ("mumble:1", "no JSON with an error: a configuration fault"),
    ("deny:1", "status 401 (the request is not authentic): a configuration fault"), ("busy:1", "the host would try again"),
    ("refuse:1", "status 422 (sold out): the host would take it for a final refusal")])
def test_reason_says_what_the_host_would_make_of_it(start, fault, says):
    assert says in check(start("--fault", fault).base)[1]["issue"][1]


@pytest.mark.parametrize("mode, wrong", [("failing", {"issue", "void-stays", "void-unseen"}),
                                         ("lying", {"issue", "void-stays", "void-unseen"})])
def test_modes_of_the_sample_server_fail(start, mode, wrong):
    code, rows = check(start("--mode", mode).base)
    assert code == 1 and failed(rows) == wrong


def test_answer_that_comes_too_late_is_none(start):
    code, rows = check(start("--fault", "late:1", "--delay", "3").base, "--timeout", "1")
    assert code == 1 and failed(rows) == {"issue", "in-time"}
    assert rows["clean-up"][0] == "pass", "what was made late is voided all the same"


def test_tokens_need_not_be_kept(start):
    code, rows = check(start("--fault", "no-tokens").base)
    assert code == 0 and skipped(rows) == {"tokens"}


def test_wrong_secret_is_the_servers_401(start):
    code, rows = check(start().base, secret=OTHER_SECRET)
    assert code == 1 and "status 401" in rows["issue"][1]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


@pytest.fixture
def knows_nothing(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: Quiet(*arguments, directory=tmp_path))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    yield server, thread
    if thread.is_alive():
        server.shutdown()
        thread.join()
    server.server_close()


def test_server_that_knows_nothing_of_it_fails_and_is_told_so(knows_nothing):
    server, thread = knows_nothing
    thread.start()
    code, rows = check(f"http://127.0.0.1:{server.server_port}")
    assert code == 1 and {"issue", "void", "void-unseen", "unsigned", "malformed", "clean-up"} <= failed(rows)
    assert skipped(rows) == NEEDS_SERIAL | {"tokens"}


def test_certificate_is_verified(knows_nothing, tmp_path):
    server, thread = knows_nothing
    certificate = Certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.private_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread.start()
    url = f"https://localhost:{server.server_port}"
    refused = run(url)
    assert refused.returncode == 3 and refused.stdout == "" and "cannot connect" in refused.stderr
    assert check(url, "--ca-file", str(certificate.certificate))[0] == 1, "trusted, and found wanting"


def test_nobody_there_is_exit_code_3(start):
    server = start()
    base = server.base
    server.stop()
    done = run(base)
    assert done.returncode == 3 and done.stdout == "" and "cannot connect" in done.stderr


def test_plain_http_is_for_loopback_only():
    code, rows = check("http://plugins.example")
    assert code == 1 and "https" in rows["address"][1]


@pytest.mark.parametrize("words, secret", [
    (["ftp://127.0.0.1"], SECRET), (["http://127.0.0.1:1/?x"], SECRET), (["http://user@127.0.0.1:1"], SECRET), (["x"], SECRET),
    (["http://127.0.0.1:1", "more"], SECRET), (["http://127.0.0.1:1", "--plugin", "No!"], SECRET),
    (["http://127.0.0.1:1", "--timeout", "0"], SECRET), (["http://127.0.0.1:1", "--timeout", "nan"], SECRET),
    (["http://127.0.0.1:1", "--bogus"], SECRET), (["http://127.0.0.1:1", "--secret-fd", "99"], SECRET),
    (["http://127.0.0.1:1", "--secret-file", "/nonexistent"], SECRET),
    (["http://127.0.0.1:1", "--secret-file", "/dev/null"], SECRET),
    (["http://127.0.0.1:1"], "whsec_short"), (["http://127.0.0.1:1"], "hunter2"), (["http://127.0.0.1:1"], "")])
def test_usage_is_explained(words, secret):
    done = run(*words, secret=secret)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("hostctl: ")
    assert "hunter2" not in done.stderr


def test_secret_comes_from_a_file_or_a_descriptor(start, tmp_path):
    server = start()
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\r\nanother line\n")
    assert check(server.base, "--secret-file", str(path), secret="")[0] == 0
    with open(path, "rb") as file:
        assert check(server.base, "--secret-fd", str(file.fileno()), secret="", pass_fds=[file.fileno()])[0] == 0


def test_table_for_people_says_the_same(start):
    server = start("--fault", "forget:1")
    done = run(server.base)
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and [line[1] for line in lines] == ROWS
    assert [line[0] for line in lines if line[1] == "look-up"] == ["fail"]
    assert not any(line.endswith(" ") for line in done.stdout.splitlines())


def test_what_the_vendor_says_cannot_reach_the_terminal():
    server = SameAnswer(422, b'{"error":"\\u001b[2J\\u202e' + "é".encode() * 200 + b'"}')
    try:
        done = run(server.base, env={**os.environ, "LC_ALL": "C.UTF-8"})
    finally:
        server.close()
    assert done.returncode == 1 and "\x1b" not in done.stdout and "\u202e" not in done.stdout and "?[2J?é" in done.stdout
