"""The sample server of a plugin's vendor, from outside: what the host asks, and what plugins ask."""

import concurrent.futures
import json
import re
import socket
import subprocess
import time

import pytest

from lib.process import program
from lib.vendor import SECRET, PluginServer


@pytest.fixture
def start(tmp_path):
    servers = []

    def start_server(plugin="weather", *arguments):
        server = PluginServer(tmp_path, plugin, *arguments).start()
        servers.append(server)
        return server

    yield start_server
    for server in servers:
        server.stop()


@pytest.mark.parametrize("plugin, shape", [
    ("weather", r"([A-Z2-9]{4}-){5}[A-Z2-9]{4}"), ("quotes", r"[\w-]+\.[\w-]{86}"), ("chess", r"([A-Z2-7]{6}-){3}[A-Z2-7]{6}")])
def test_same_request_gives_the_same_serial_also_after_a_crash(start, plugin, shape):
    server = start(plugin)
    status, first = server.issue()
    assert status == 201 and re.fullmatch(shape, first["serial"])
    assert server.issue() == (201, first)
    assert server.ask("GET", "/v1/serials/ol_1.1") == (200, first)
    server.kill()
    server.start()
    assert server.issue() == (201, first)
    assert server.issue("ol_1.2")[1]["serial"] != first["serial"]
    assert server.issue(user="another")[0] == 409
    assert server.issue(term="P2Y")[0] == 409
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        serials = {answer["serial"] for _status, answer in pool.map(lambda _i: server.issue("ol_2.1"), range(16))}
    assert len(serials) == 1


def test_term_becomes_the_expiry(start):
    server = start("quotes")
    _status, answer = server.issue(term="P1M")
    days = (time.mktime(time.strptime(answer["expires"], "%Y-%m-%dT%H:%M:%SZ")) - time.time()) / 86400
    assert 27 < days < 33
    for_ever = server.issue("ol_2.1", term=None)
    assert for_ever[0] == 201 and "expires" not in for_ever[1]
    assert server.issue("ol_2.1", term="") == for_ever


def test_voided_request_is_remembered_even_if_never_seen(start):
    server = start()
    _status, answer = server.issue()
    assert server.ask("DELETE", "/v1/serials/ol_1.1") == (204, None)
    assert server.ask("DELETE", "/v1/serials/ol_1.1") == (204, None)
    assert server.ask("DELETE", "/v1/serials/ol_9.1") == (204, None)
    server.kill()
    server.start()
    assert server.issue()[0] == 410
    assert server.issue("ol_9.1")[0] == 410
    assert server.ask("GET", "/v1/serials/ol_9.1")[0] == 410
    assert server.ask("GET", "/v1/serials/ol_8.1")[0] == 404
    assert server.session(answer["serial"], "k3q")[0] == 401


def test_request_that_the_host_did_not_sign_does_nothing(start):
    server = start()
    body = json.dumps({"request": "ol_1.1", "plugin": "weather", "user": "k3q", "term": "P1Y"}).encode()
    good = server.headers("POST", "/v1/serials", body)
    wrong_key = SECRET[:-4] + ("AAA=" if not SECRET.endswith("AAA=") else "BBB=")
    cases = [
        ({}, 400),
        ({name: value for name, value in good.items() if name != "webhook-id"}, 400),
        ({**good, "webhook-signature": ""}, 400),
        ({**good, "webhook-signature": good["webhook-signature"][:-5] + "AAAA="}, 401),
        (server.headers("POST", "/v1/serials", body, age_s=301), 401),
        (server.headers("POST", "/v1/serials", body, age_s=-310), 401),
        (server.headers("POST", "/v1/serials", body + b" "), 401),
        (server.headers("POST", "/v1/serials", body, secret=wrong_key), 401),
        (server.headers("POST", "/v1/serials"), 401),
        ({**good, "webhook-id": "msg 1"}, 401),
    ]
    for headers, expected in cases:
        assert server.request("POST", "/v1/serials", body, headers)[0] == expected, headers
    delete = server.headers("DELETE", "/v1/serials/ol_1.1")
    assert server.request("DELETE", "/v1/serials/ol_1.2", None, delete)[0] == 401
    assert server.request("GET", "/v1/serials/ol_1.1", None, delete)[0] == 401
    assert server.ask("GET", "/v1/serials/ol_1.1")[0] == 404
    assert server.ask("GET", "/v1/serials/ol_1.2")[0] == 404


def test_repeated_envelope_header_and_large_body_are_refused(start):
    server = start()
    body = b'{"request":"ol_1.1"}'
    headers = server.headers("POST", "/v1/serials", body)
    host, port = server.address.split(":")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(f"POST /v1/serials HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{lines}"
                     f"Webhook-Id: {headers['webhook-id']}\r\n\r\n".encode() + body)
        assert link.recv(100).startswith(b"HTTP/1.1 400 ")
    large = b'{"x":"' + b"x" * 20000 + b'"}'
    assert server.request("POST", "/v1/serials", large, server.headers("POST", "/v1/serials", large))[0] == 413


@pytest.mark.parametrize("changes, status", [
    ({"request": "a/b"}, 400), ({"request": ""}, 400), ({"request": "x" * 129}, 400), ({"request": None}, 400),
    ({"user": "a|b"}, 400), ({"user": "a b"}, 400), ({"user": None}, 400), ({"user": 7}, 400), ({"term": "year"}, 400),
    ({"term": 12}, 400), ({"plugin": "quotes"}, 422)])
def test_request_that_is_not_whole_is_refused(start, changes, status):
    server = start()
    answer = server.issue(**changes)
    assert answer[0] == status and "error" in answer[1]


def test_serial_opens_a_session_and_the_session_gets_the_weather(start):
    server = start()
    _status, issued = server.issue()
    assert server.session(issued["serial"], "another")[0] == 401
    assert server.session("AAAA-AAAA-AAAA-AAAA-AAAA-AAAA", "k3q")[0] == 401
    status, session = server.session(issued["serial"], "k3q")
    assert status == 200 and re.fullmatch("[0-9a-f]{32}", session)
    status, text = server.request("GET", "/v1/weather?place=lisbon", None, {"X-Session": session})
    assert status == 200
    assert re.fullmatch(r"Lisbon: -?\d+ °C, [a-z ]+, wind [NESW]{1,2} \d; tomorrow -?\d+ °C, [a-z ]+\n", text)
    assert server.request("GET", "/v1/weather?place=New%20York", None, {"X-Session": session})[0] == 200
    assert server.request("GET", "/v1/weather?place=Atlantis", None, {"X-Session": session})[0] == 404
    assert server.request("GET", "/v1/weather?place=Lisbon", None, {"X-Session": "0" * 32})[0] == 401
    assert server.request("GET", "/v1/weather?place=Lisbon")[0] == 401
    assert server.ask("DELETE", "/v1/serials/ol_1.1")[0] == 204
    assert server.request("GET", "/v1/weather?place=Lisbon", None, {"X-Session": session})[0] == 401


def test_serial_made_by_the_hosts_keygen_is_good_here(start):
    """Published facts of the algorithm; its expiry is a day of 2026, so either good or over, never bad."""
    server = start()
    status, _session = server.session("PNQM-MPLU-8V4R-AEY8-8J77-6TTX", "k3qabcdefghijklmnopqrstuvw")
    assert status == (200 if time.time() <= 1795564799 else 403)
    assert server.session("PNQM-MPLU-8V4R-AEY8-8J77-6TTX", "someone-else")[0] == 401
    assert server.session("PNQM-MPLU-8V4R-AEY8-8J77-6TTX")[0] == 401


def test_quotes_are_served_to_who_holds_a_signed_serial(start):
    server = start("quotes")
    _status, issued = server.issue()
    status, session = server.session(issued["serial"])
    assert status == 200
    status, text = server.request("GET", "/v1/quote?topic=Patience", None, {"X-Session": session})
    assert status == 200 and re.fullmatch("“.+” — .+, .+\n", text)
    assert server.request("GET", "/v1/quote?topic=", None, {"X-Session": session})[0] == 200
    assert server.request("GET", "/v1/quote?topic=parsnips", None, {"X-Session": session})[0] == 404
    assert server.session(issued["serial"][:-1] + ("A" if issued["serial"][-1] != "A" else "B"))[0] == 401


def test_serial_whose_time_is_over_is_told_apart(start):
    server = start("quotes")
    _status, issued = server.issue(term="PT1S")
    time.sleep(2.1)
    assert server.session(issued["serial"])[0] == 403


def test_other_key_signs_other_serials(start, tmp_path):
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key],
                   check=True, capture_output=True)
    own = start("quotes", "--key", key)
    serial = own.issue()[1]["serial"]
    assert own.session(serial)[0] == 200
    own.stop()
    (tmp_path / "vendor-quotes" / "register.db").unlink()
    assert start("quotes").session(serial)[0] == 401


def test_old_library_speaks_http_1_0(start):
    server = start()
    _status, issued = server.issue()
    host, port = server.address.split(":")
    body = json.dumps({"serial": issued["serial"], "user": "k3q"}, separators=(",", ":"))
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall((f"POST /v1/session HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
        answer = b""
        while part := link.recv(4096):
            answer += part
    assert b" 200 " in answer.splitlines()[0] and b'"session":"' in answer


def test_tokens_open_sessions_until_revoked(start):
    server = start()
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    body = {"token": "ey.token.1", "plugin": "weather", "user": "k3q", "expires": later}
    bearer = {"Authorization": "Bearer ey.token.1"}
    assert server.request("POST", "/v1/session", "", bearer)[0] == 401
    assert server.ask("PUT", "/v1/tokens/t-1", body) == (204, None)
    status, text = server.request("POST", "/v1/session", "", bearer)
    session = {"X-Session": json.loads(text)["session"]}
    assert status == 200 and server.request("GET", "/v1/weather?place=Rome", None, session)[0] == 200
    assert server.request("POST", "/v1/session", "", {"Authorization": "Bearer ey.token.2"})[0] == 401
    assert server.ask("DELETE", "/v1/tokens/t-1") == (204, None)
    assert server.request("GET", "/v1/weather?place=Rome", None, session)[0] == 401
    assert server.request("POST", "/v1/session", "", bearer)[0] == 401
    assert server.ask("PUT", "/v1/tokens/t-1", body)[0] == 204
    assert server.request("POST", "/v1/session", "", bearer)[0] == 401
    over = {**body, "token": "ey.token.3", "expires": "2020-01-01T00:00:00Z"}
    assert server.ask("PUT", "/v1/tokens/t-3", over)[0] == 204
    assert server.request("POST", "/v1/session", "", {"Authorization": "Bearer ey.token.3"})[0] == 403
    assert server.ask("PUT", "/v1/tokens/t-4", {**body, "plugin": "quotes"})[0] == 422
    assert server.ask("PUT", "/v1/tokens/t-4", {"token": "x"})[0] == 400


def test_failing_server_issues_nothing_but_can_void(start):
    server = start("weather", "--mode", "failing")
    assert server.issue()[0] == 500
    assert server.ask("GET", "/v1/serials/ol_1.1")[0] == 404
    assert server.ask("DELETE", "/v1/serials/ol_1.1")[0] == 204


def test_slow_server_has_made_the_serial_long_before_it_answers(start):
    server = start("weather", "--mode", "slow")
    data = json.dumps({"request": "ol_1.1", "plugin": "weather", "user": "k3q"}).encode()
    host, port = server.address.split(":")
    head = "".join(f"{name}: {value}\r\n" for name, value in server.headers("POST", "/v1/serials", data).items())
    with socket.create_connection((host, int(port)), timeout=1) as link:
        link.sendall(f"POST /v1/serials HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n{head}\r\n".encode() + data)
        with pytest.raises(TimeoutError):
            link.recv(1)
    assert server.ask("GET", "/v1/serials/ol_1.1")[0] == 200


def test_lying_server_never_tells_a_usable_serial_twice(start):
    server = start("weather", "--mode", "lying")
    body = json.dumps({"request": "ol_1.1", "plugin": "weather", "user": "k3q"}).encode()
    told = [server.request("POST", "/v1/serials", body, server.headers("POST", "/v1/serials", body)) for _i in range(6)]
    assert told[0] == (200, "<html>Thank you!</html>") and told[5] == told[0]
    serials = [json.loads(text)["serial"] for _status, text in told[1:5]]
    assert serials == ["", "AB\x07CD", "SAME-SAME-SAME-SAME", "A" * 5000]


@pytest.mark.parametrize("change, code", [
    (("--secret", "whsec_"), 1), (("--plugin", "Weather!"), 2), (("--mode", "odd"), 2), (("--listen", "0.0.0.0:0"), 1),
    (("--key", "/nonexistent"), 1), (("--bogus", "x"), 2)])
def test_start_that_cannot_work_is_an_error(tmp_path, change, code):
    options = {"--listen": "127.0.0.1:0", "--data": tmp_path, "--secret": SECRET, "--plugin": "quotes", **dict([change])}
    run = subprocess.run([program("plugin-server"), *[word for pair in options.items() for word in pair]],
                         capture_output=True, text=True, timeout=10)
    assert run.returncode == code and run.stdout == ""
    assert run.stderr.splitlines()[-1].startswith("plugin-server: ")
