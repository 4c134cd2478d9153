"""The sample server of a plugin's vendor, from outside: what the host asks, and what plugins ask."""

import base64
import concurrent.futures
import datetime
import http.client
import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from lib.process import program, wait_until
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


def end_of(answer):
    return datetime.datetime.fromisoformat(answer["expires"].replace("Z", "+00:00"))


@pytest.mark.parametrize("plugin, keeps", [("chess", True), ("quotes", False), ("weather", False)])
def test_further_term_begins_where_the_user_s_last_one_ends(start, plugin, keeps):
    """A renewal is another order line of the same user. Where the end is in the serial it takes a new one."""
    server = start(plugin)
    first = server.issue("l_1.0")[1]
    second = server.issue("l_2.0")[1]
    assert (second["serial"] == first["serial"]) == keeps
    assert end_of(second) - end_of(first) >= datetime.timedelta(days=365)
    server.kill()
    server.start()
    assert server.issue("l_1.0")[1] == first and server.issue("l_2.0")[1] == second
    other = server.issue("l_3.0", user="x7m")[1]
    assert other["serial"] not in (first["serial"], second["serial"]) and end_of(other) - end_of(first) < datetime.timedelta(days=2)


def test_replacement_on_the_same_line_is_no_renewal(start):
    server = start("chess")
    refused, replacement = server.issue("l_1.0")[1], server.issue("l_1.1")[1]
    assert replacement["serial"] != refused["serial"]
    assert end_of(replacement) - end_of(refused) < datetime.timedelta(minutes=5)


def test_voided_renewal_gives_the_first_term_its_end_back(start):
    server = start("chess")
    serial = server.issue("l_1.0", term="PT3S")[1]["serial"]
    assert server.issue("l_2.0")[1]["serial"] == serial
    session = {"X-Session": server.session(serial, "k3q")[1]}
    assert server.request("GET", "/v1/quote?topic=", None, session)[0] == 200
    assert server.ask("DELETE", "/v1/serials/l_2.0") == (204, None)
    assert server.request("GET", "/v1/quote?topic=", None, session)[0] == 401, "what the session stood on has changed"
    assert server.issue("l_2.0")[0] == 410 and server.issue("l_1.0", term="PT3S")[1]["serial"] == serial
    wait_until(lambda: server.session(serial, "k3q")[0] == 403, what="the first term to end")


def test_session_ends_with_the_term_that_opened_it(start):
    server = start("chess")
    serial = server.issue(term="PT3S")[1]["serial"]
    status, session = server.session(serial, "k3q")
    assert status == 200

    def answer():
        return server.request("GET", "/v1/quote?topic=", None, {"X-Session": session})[0]
    assert answer() == 200
    wait_until(lambda: answer() == 401, what="the session to end")


def test_one_serial_has_a_limited_number_of_sessions(start):
    server = start("chess")
    serial, other = server.issue("l_1.0")[1]["serial"], server.issue("l_2.0", user="x7m")[1]["serial"]
    [first, *rest] = [server.session(serial)[1] for _i in range(17)]
    kept = server.session(other)[1]

    def answer(session):
        return server.request("GET", "/v1/quote?topic=", None, {"X-Session": session})[0]
    assert answer(first) == 401 and {answer(session) for session in [*rest, kept]} == {200}


def test_what_was_answered_survives_kill_at_any_moment(start):
    """Serials, voids and tokens: whatever was answered before a kill is so after it."""
    server = start("chess")
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    issued, to_void, voided, tokens, stopping = {}, set(), set(), set(), threading.Event()

    def work(worker, kills):
        for number in range(100000):
            request = f"l_{worker}_{number}.{kills}"
            try:
                status, answer = server.issue(request, user=f"u{worker}-{number}")
                assert status == 201
                issued[request] = answer
                if number % 3 == 0:
                    to_void.add(request)
                    assert server.ask("DELETE", f"/v1/serials/{request}")[0] == 204
                    voided.add(request)
                body = {"token": f"ey.{request}", "plugin": "chess", "user": "u", "expires": later}
                assert server.ask("PUT", f"/v1/tokens/{request}", body)[0] == 204
                tokens.add(request)
            except (OSError, http.client.HTTPException):
                if stopping.is_set():
                    return
    for kills in range(1, 6):
        stopping.clear()
        before = len(tokens)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            workers = [pool.submit(work, worker, kills) for worker in range(4)]
            wait_until(lambda: len(tokens) >= before + 8 * kills, what="some work")
            stopping.set()
            server.kill()
            for worker in workers:
                worker.result()
        server.start()
        for request, answer in issued.items():
            user = "u" + request.split(".")[0].removeprefix("l_").replace("_", "-")
            again = server.issue(request, user=user)
            is_void = again[0] == 410 and request in to_void
            assert is_void or (request not in voided and again == (201, answer))
        for request in tokens:
            assert server.request("POST", "/v1/session", "", {"Authorization": f"Bearer ey.{request}"})[0] == 200
    assert voided and len(issued) > 40


def test_any_of_several_secrets_will_do_until_it_is_dropped(start, tmp_path):
    old, new = ("whsec_" + base64.b64encode(word * 4).decode() for word in (b"old-word", b"new-word"))
    path = tmp_path / "secrets"
    path.write_text(f"{old}\n")
    server = start("weather", "--secret-file", path)

    def status(secret):
        target = "/v1/serials/ol_1.1"
        return server.request("GET", target, None, server.headers("GET", target, secret=secret))[0]
    assert (status(old), status(new)) == (404, 401)
    path.write_text(f"{new}\n{old}\n")
    server.process.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: status(new) == 404, what="the new secret")
    assert status(old) == 404
    path.write_text("whsec_nonsense\n")
    server.process.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: "stay as they were" in server.process.log(), what="the complaint")
    assert (status(old), status(new)) == (404, 404) and "nonsense" not in server.process.log()
    path.write_text(f"{new}\n")
    server.process.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: status(old) == 401, what="the end of the old secret")
    assert status(new) == 404


def test_secrets_may_be_repeated_on_the_command_line(start):
    other = "whsec_" + base64.b64encode(b"another-" * 4).decode()
    server = start("weather", "--secret", other)
    for secret in (SECRET, other):
        assert server.request("GET", "/v1/serials/x", None, server.headers("GET", "/v1/serials/x", secret=secret))[0] == 404


def test_replayed_request_does_nothing_twice(start):
    """A signature is good for 300 s; what comes again within them is answered as the first time."""
    server = start("chess")
    body = json.dumps({"request": "ol_1.1", "plugin": "chess", "user": "k3q"}).encode()
    headers = server.headers("POST", "/v1/serials", body)
    first = server.request("POST", "/v1/serials", body, headers)
    assert first[0] == 201 and server.request("POST", "/v1/serials", body, headers) == first
    assert server.ask("DELETE", "/v1/serials/ol_1.1")[0] == 204
    assert server.request("POST", "/v1/serials", body, headers)[0] == 410


@pytest.mark.parametrize("changes, jti, status", [
    ({}, "t-1", 204), ({"token": "x" * 8192}, "t-1", 204), ({"token": "x" * 8193}, "t-1", 400), ({"token": ""}, "t-1", 400),
    ({"token": 7}, "t-1", 400), ({"user": "a|b"}, "t-1", 400), ({"expires": "soon"}, "t-1", 400),
    ({"expires": "2999-01-01T00:00:00Z"}, "t-1", 400), ({}, "t%2F1", 400), ({}, "x" * 129, 400), ({"plugin": "quotes"}, "t-1", 422)])
def test_announced_token_has_its_limits(start, changes, jti, status):
    server = start()
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    body = {"token": "ey.1", "plugin": "weather", "user": "k3q", "expires": later, **changes}
    assert server.ask("PUT", f"/v1/tokens/{jti}", body)[0] == status


def test_token_has_one_id_and_may_be_revoked_before_it_is_announced(start):
    server = start()
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    body = {"token": "ey.1", "plugin": "weather", "user": "k3q", "expires": later}
    assert server.ask("DELETE", "/v1/tokens/t-1")[0] == 204
    server.kill()
    server.start()
    assert server.ask("PUT", "/v1/tokens/t-1", body)[0] == 204
    assert server.request("POST", "/v1/session", "", {"Authorization": "Bearer ey.1"})[0] == 401
    assert server.ask("PUT", "/v1/tokens/t-2", body)[0] == 409
    assert server.request("POST", "/v1/session", "", {"Authorization": "Bearer " + "x" * 8193})[0] == 400


def test_revoked_token_ends_its_sessions_alone(start):
    server = start()
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    sessions = []
    for jti in ("l_1.0", "t-2"):
        server.ask("PUT", f"/v1/tokens/{jti}", {"token": f"ey.{jti}", "plugin": "weather", "user": "k3q", "expires": later})
        sessions.append(json.loads(server.request("POST", "/v1/session", "", {"Authorization": f"Bearer ey.{jti}"})[1])["session"])
    sessions.append(server.session(server.issue("l_1.0")[1]["serial"], "k3q")[1])

    def answers():
        return [server.request("GET", "/v1/weather?place=Rome", None, {"X-Session": session})[0] for session in sessions]
    assert answers() == [200, 200, 200]
    assert server.ask("DELETE", "/v1/tokens/l_1.0")[0] == 204
    assert answers() == [401, 200, 200], "not the serial's, whose request has the same name"
    assert server.ask("DELETE", "/v1/serials/l_1.0")[0] == 204
    assert answers() == [401, 200, 401]


def test_failing_server_issues_nothing_but_can_void(start):
    server = start("weather", "--mode", "failing")
    assert server.issue()[0] == 500
    assert server.ask("GET", "/v1/serials/ol_1.1")[0] == 404
    assert server.ask("DELETE", "/v1/serials/ol_1.1")[0] == 204


def test_slow_server_has_made_the_serial_long_before_it_answers(start):
    server = start("weather", "--mode", "slow", "--delay", "2")
    data = json.dumps({"request": "ol_1.1", "plugin": "weather", "user": "k3q"}).encode()
    host, port = server.address.split(":")
    head = "".join(f"{name}: {value}\r\n" for name, value in server.headers("POST", "/v1/serials", data).items())
    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall(f"POST /v1/serials HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n{head}\r\n".encode() + data)
        serial = wait_until(lambda: server.ask("GET", "/v1/serials/ol_1.1")[1].get("serial"), what="the serial")
        link.settimeout(0.001)
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.settimeout(20)
        assert serial.encode() in link.recv(10000)


def test_late_answer_after_a_void_tells_a_serial_that_is_void(start):
    server = start("weather", "--mode", "slow", "--delay", "1")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        late = pool.submit(server.issue)
        wait_until(lambda: server.ask("GET", "/v1/serials/ol_1.1")[0] == 200, what="the serial")
        assert server.ask("DELETE", "/v1/serials/ol_1.1")[0] == 204
        status, answer = late.result()
    assert status == 201 and server.session(answer["serial"], "k3q")[0] == 401


def test_lying_server_never_tells_a_usable_serial_twice(start):
    server = start("weather", "--mode", "lying")
    body = json.dumps({"request": "ol_1.1", "plugin": "weather", "user": "k3q"}).encode()
    told = [server.request("POST", "/v1/serials", body, server.headers("POST", "/v1/serials", body)) for _i in range(6)]
    assert told[0] == (200, "<html>Thank you!</html>") and told[5] == told[0]
    serials = [json.loads(text)["serial"] for _status, text in told[1:5]]
    assert serials == ["", "AB\x07CD", "SAME-SAME-SAME-SAME", "A" * 5000]


@pytest.mark.parametrize("change, code", [
    (("--secret", "whsec_"), 1), (("--plugin", "Weather!"), 2), (("--mode", "odd"), 2), (("--listen", "0.0.0.0:0"), 1),
    (("--key", "/nonexistent"), 1), (("--bogus", "x"), 2), (("--fault", "odd"), 2), (("--delay", "-1"), 2), (("--delay", "nan"), 2),
    (("--secret-file", "/nonexistent"), 2)])
def test_start_that_cannot_work_is_an_error(tmp_path, change, code):
    options = {"--listen": "127.0.0.1:0", "--data": tmp_path, "--secret": SECRET, "--plugin": "quotes", **dict([change])}
    run = subprocess.run([program("plugin-server"), *[word for pair in options.items() for word in pair]],
                         capture_output=True, text=True, timeout=10)
    assert run.returncode == code and run.stdout == ""
    assert run.stderr.splitlines()[-1].startswith("plugin-server: ")


# --- faults on demand

def test_faults_that_answer_before_anything_is_done(start):
    server = start("chess", "--fault", "error:1", "--fault", "busy:1", "--fault", "refuse:1", "--fault", "mumble:1")
    assert server.issue() == (500, {"error": "something is broken"})
    assert server.issue()[0] == 429
    assert server.issue() == (422, {"error": "sold out"})
    body = json.dumps({"request": "ol_1.1", "plugin": "chess", "user": "k3q", "term": "P1Y"}).encode()
    assert server.request("POST", "/v1/serials", body, server.headers("POST", "/v1/serials", body)) == (422, "no")
    assert server.ask("GET", "/v1/serials/ol_1.1")[0] == 404
    assert server.issue()[0] == 201


def test_faults_of_the_way_in(start):
    server = start("chess", "--fault", "deny:2", "--fault", "redirect:2")
    assert [server.ask("GET", "/v1/serials/x")[0], server.ask("DELETE", "/v1/serials/x")[0]] == [401, 401]
    assert server.ask("GET", "/v1/serials/x")[0] == 307 and server.issue()[0] == 307
    assert server.issue()[0] == 201


def test_fault_other_tells_the_serial_of_another_user(start):
    server = start("chess")
    known = server.issue("l_1.0", user="x7m")[1]["serial"]
    server.restart_with("--fault", "other:1")
    assert server.issue("l_2.0")[1] == {"serial": known}
    assert server.ask("GET", "/v1/serials/l_2.0")[0] == 404, "nothing was made"
    assert server.issue("l_2.0")[1]["serial"] != known


def test_faults_that_keep_the_serial_and_say_otherwise(start):
    server = start("chess", "--fault", "lost:1", "--fault", "change:1", "--fault", "date:2", "--fault", "forget:1")
    assert server.issue()[0] == 500
    changed = server.issue()[1]
    assert changed["expires"] == "next year"
    assert server.ask("GET", "/v1/serials/ol_1.1")[0] == 404
    status, kept = server.ask("GET", "/v1/serials/ol_1.1")
    assert status == 200 and server.issue()[1] == kept and kept["serial"] != changed["serial"]


def test_faults_of_voiding(start):
    server = start("chess", "--fault", "void-error:1", "--fault", "unseen:1", "--fault", "keep:1")
    assert server.ask("DELETE", "/v1/serials/ol_9.1")[0] == 500
    assert server.ask("DELETE", "/v1/serials/ol_9.1")[0] == 404
    assert server.ask("DELETE", "/v1/serials/ol_9.1")[0] == 204 and server.issue("ol_9.1")[0] == 201
    assert server.ask("DELETE", "/v1/serials/ol_9.1")[0] == 204 and server.issue("ol_9.1")[0] == 410


def test_faults_of_carelessness(start):
    server = start("chess", "--fault", "trust:1", "--fault", "stale:1", "--fault", "any-plugin:1", "--fault", "crash:1",
                   "--fault", "no-tokens:1")
    body = json.dumps({"request": "ol_1.1", "plugin": "chess", "user": "k3q"}).encode()
    old = server.headers("POST", "/v1/serials", body, age_s=9999)
    assert server.request("POST", "/v1/serials", body, old)[0] == 201
    assert server.request("POST", "/v1/serials", body, old)[0] == 201, "not looked at"
    assert server.request("POST", "/v1/serials", body, old)[0] == 401
    assert [server.issue("ol_2.1", plugin="quotes")[0] for _i in range(2)] == [201, 422]
    for status in (500, 400):
        assert server.request("POST", "/v1/serials", b"{", server.headers("POST", "/v1/serials", b"{"))[0] == status
    assert [server.ask("DELETE", "/v1/tokens/t")[0] for _i in range(2)] == [404, 204]
