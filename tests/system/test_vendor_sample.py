"""The plugin server in Python, as vendors will copy it: what strangers and broken peers send does it no harm."""

import concurrent.futures
import json
import socket
import time

import pytest

from lib.vendor import SECRET, PythonServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    one = PythonServer(tmp_path_factory.mktemp("sample"), "chess").start()
    yield one
    log = one.process.log()
    one.stop()
    assert "Traceback" not in log and SECRET not in log


def send(server, data):
    """The first line of the answer to these bytes; "" if the connection ends without."""
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
        return link.makefile("rb").readline().decode().strip()


def head(headers):
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def signed(server, data):
    return server.request("POST", "/v1/serials", data, server.headers("POST", "/v1/serials", data))


def test_crowd_of_equal_requests_gets_one_serial(server):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _i: server.issue("l_crowd.0"), range(32)))
    assert {status for status, _answer in answers} == {201} and len({answer["serial"] for _status, answer in answers}) == 1


def test_same_request_for_another_user_or_term_is_refused(server):
    assert server.issue("l_same.0")[0] == 201
    assert server.issue("l_same.0", user="another")[0] == 409 and server.issue("l_same.0", term="P1M")[0] == 409


@pytest.mark.parametrize("change, status", [
    ({"webhook-id": None}, 400), ({"webhook-signature": ""}, 400), ({"webhook-signature": "v1,"}, 401),
    ({"webhook-signature": "v1"}, 401), ({"webhook-signature": "v2,AAAA"}, 401), ({"webhook-signature": "v1,\xe9"}, 401),
    ({"webhook-timestamp": "hello"}, 401), ({"webhook-timestamp": "9" * 400}, 401), ({"webhook-timestamp": "-1"}, 401),
    ({"webhook-timestamp": "\xb2"}, 401), ({"webhook-id": "msg_other"}, 401), ({}, 404)])
def test_envelope_is_looked_at_first(server, change, status):
    headers = {**server.headers("GET", "/v1/serials/l_none.0"), **change}
    headers = {name: value for name, value in headers.items() if value is not None}
    answer = server.request("GET", "/v1/serials/l_none.0", None, headers)
    assert answer[0] == status and "error" in json.loads(answer[1])


def test_signature_among_others_is_found(server):
    headers = server.headers("GET", "/v1/serials/l_none.0")
    headers["webhook-signature"] = "v1a,AAAA nonsense v1,AAAA " + headers["webhook-signature"]
    assert server.request("GET", "/v1/serials/l_none.0", None, headers)[0] == 404


def test_time_window_is_five_minutes_either_way(server):
    for age_s, status in ((290, 404), (310, 401), (-290, 404), (-310, 401)):
        headers = server.headers("GET", "/v1/serials/l_none.0", age_s=age_s)
        assert server.request("GET", "/v1/serials/l_none.0", None, headers)[0] == status


@pytest.mark.parametrize("body, status", [
    (b"{", 400), (b"\xff\xfe", 400), (b"[" * 5000, 400), (b"null", 400), (b"7", 400), (b'{"plugin":"chess"}', 400),
    (b'{"request":"\\ud800","plugin":"chess","user":"k3q"}', 400), (b'{"request":"a/b","plugin":"chess","user":"k3q"}', 400),
    (b'{"request":"l_1.0","plugin":"chess","user":"\\ud800"}', 400), (b'{"request":"l_1.0","plugin":"chess","user":""}', 400),
    (b'{"request":"l_1.0","plugin":"chess","user":"k3q","term":"\\ud800"}', 400),
    (b'{"request":"l_1.0","plugin":"chess","user":"k3q","term":"P"}', 400),
    (b'{"request":"l_1.0","plugin":"chess","user":"k3q","term":"P0D"}', 400),
    (b'{"request":"l_1.0","plugin":"chess","user":"k3q","term":"P9999Y"}', 400),
    (b'{"request":"l_1.0","plugin":"chess","user":"k3q","term":7}', 400),
    (b'{"request":["l_1.0"],"plugin":"chess","user":"k3q"}', 400), (b'{"request":"l_1.0","plugin":"quotes","user":"k3q"}', 422),
    (b'{"request":"l_long.0","plugin":"chess","user":"k3q","term":"P999Y"}', 201), (b" " * 20001, 413)])
def test_body_that_makes_no_sense_is_refused(server, body, status):
    answer = signed(server, body)
    assert answer[0] == status and ("serial" if status == 201 else "error") in json.loads(answer[1])


@pytest.mark.parametrize("change, status", [
    ({}, 204), ({"token": ""}, 400), ({"token": "\ud800"}, 400), ({"token": "x" * 8193}, 400), ({"expires": "soon"}, 400),
    ({"expires": "\ud800"}, 400), ({"expires": 7}, 400), ({"user": None}, 400), ({"plugin": "quotes"}, 422)])
def test_token_that_makes_no_sense_is_refused(server, change, status):
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    body = {"token": "ey.1", "plugin": "chess", "user": "k3q", "expires": later, **change}
    assert server.ask("PUT", "/v1/tokens/t-1", body)[0] == status


@pytest.mark.parametrize("data, line", [
    (b"nonsense of words\r\n\r\n", ""), (b"GET /v1/serials/x HTTP/1.1\r\nHost: x\r\n\r\n", "400"), (b"\x16\x03\x01\r\n\r\n", ""),
    (b"POST /v1/serials HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", "400"),
    (b"POST /v1/serials HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", "400"),
    (b"POST /v1/serials HTTP/1.1\r\nHost: x\r\nContent-Length: 20001\r\n\r\n", "413"),
    (b"POST /v1/serials HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "400")])
def test_request_that_is_hardly_http_is_refused(server, data, line):
    assert line in send(server, data)
    assert server.ask("GET", "/v1/serials/l_none.0")[0] == 404


def test_repeated_envelope_header_is_refused(server):
    headers = server.headers("GET", "/v1/serials/l_none.0")
    data = f"GET /v1/serials/l_none.0 HTTP/1.1\r\nHost: x\r\n{head(headers)}Webhook-Id: {headers['webhook-id']}\r\n\r\n"
    assert "400" in send(server, data.encode())


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/v1/serials", 404), ("GET", "/v1/serials/", 404), ("GET", "/v1/serials/a%2Fb", 404), ("GET", "/", 404),
    ("PUT", "/v1/serials/x", 405), ("GET", "/v1/tokens/x", 405), ("DELETE", "/v1/other/x", 405), ("POST", "/v1/serials/x", 405)])
def test_other_addresses_are_not_there(server, method, path, status):
    assert server.ask(method, path)[0] == status
