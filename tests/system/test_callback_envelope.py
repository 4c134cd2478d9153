"""Callbacks as bytes on the wire: what the listener and the envelope make of them before any order is looked at
(docs/protocol.md section 9, docs/money.md), and that a crowd at this door holds up nobody at the other one."""

import json
import socket
import threading
import time
import uuid

import pytest

from lib.billing import KEY, MERCHANT, SECRET, sign
from lib.host import Host, split_address

PATH = "/v1/billing/stub"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    host = Host(tmp_path_factory.mktemp("host"), config={
        "billing stub": {"type": "standard", "mode": "live", "merchant": MERCHANT, "base": "http://127.0.0.1:9",
                         "api_key": KEY, "webhook_secret": SECRET}})
    yield host.start()
    host.stop()


def envelope(body, age_s=0, webhook_id=None):
    webhook_id = webhook_id or "msg_" + uuid.uuid4().hex
    timestamp = str(int(time.time()) - age_s)
    return [("webhook-id", webhook_id), ("webhook-timestamp", timestamp),
            ("webhook-signature", sign(SECRET, webhook_id, timestamp, body))]


def request(headers, body, *, path=PATH, length=True, more=()):
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", "Content-Type: application/json", *more]
    lines += [f"{name}: {value}" for name, value in headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def send(host, data, timeout=20):
    """(status, headers, body) of the first answer that is not 100."""
    with socket.create_connection(split_address(host.addresses["http"]), timeout=timeout) as link:
        answer = b""
        try:
            link.sendall(data)
            while part := link.recv(65536):
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            pass
    head, _, body = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode().lower(), body


def poison(number=0):
    """Authentic, and about nothing: recorded."""
    return json.dumps({"type": "unknown.event", "n": number}).encode()


def test_what_is_signed_is_recorded(host):
    body = poison()
    assert send(host, request(envelope(body), body))[0] == 200
    shouted = [(name.upper(), value) for name, value in envelope(body)]
    assert send(host, request(shouted, body))[0] == 200


def test_exact_bytes_are_signed_not_their_meaning(host):
    body = b'{"type" : "x",\r\n "n":1.0, "\\u00e9":"\xc3\xa9"}'
    assert send(host, request(envelope(body), body))[0] == 200
    for other in [body + b"\n", body.replace(b" :", b":"), body.replace(b"\\u00e9", b"\xc3\xa9")]:
        assert send(host, request(envelope(body), other))[0] == 401


def test_same_key_signs_nothing_under_another_id_or_time(host):
    body = poison(1)
    headers = dict(envelope(body))
    for name, value in [("webhook-id", "msg_other"), ("webhook-timestamp", str(int(time.time()) - 5))]:
        assert send(host, request({**headers, name: value}.items(), body))[0] == 401


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("again", ["same", "other", "shouted", "empty"])
def test_repeated_header_is_400_whatever_it_says(host, name, again):
    body = poison(2)
    headers = envelope(body)
    value = dict(headers)[name]
    extra = {"same": (name, value), "other": (name, "1"), "shouted": (name.upper(), value), "empty": (name, "")}[again]
    assert send(host, request([*headers, extra], body))[0] == 400
    assert send(host, request([extra, *headers], body))[0] == 400


@pytest.mark.parametrize("signature, status", [
    ("v1,AAAA {good}", 200), ("v1a,AAAA v9,zz {good} junk", 200), ("{good} {good}", 200), ("{good},", 401),
    ("{good}\t", 200), ("v1,AAAA\t{good}", 401), ("V1{good}", 401), ("{bare}", 401), ("v1,{bare}=", 401),
    ("v1, {bare}", 401), ("\u00e9 {good}", 401), ("x" * 4096 + " {good}", 401)])
def test_signature_list(host, signature, status):
    """Blanks around a value are not part of it (RFC 9110); inside it a tab is."""
    body = poison(3)
    headers = dict(envelope(body))
    good = headers["webhook-signature"]
    headers["webhook-signature"] = signature.format(good=good, bare=good[3:])
    data = request(headers.items(), body)
    assert send(host, data)[0] == status


def test_sixteen_signatures_and_no_more(host):
    body = poison(4)
    headers = dict(envelope(body))
    good = headers["webhook-signature"]
    for n_others, status in [(15, 200), (16, 401)]:
        headers["webhook-signature"] = " ".join(["v1,AAAA"] * n_others + [good])
        assert send(host, request(headers.items(), body))[0] == status


@pytest.mark.parametrize("age_s, status", [(0, 200), (295, 200), (-295, 200), (302, 401), (-302, 401), (10**12, 401)])
def test_time_window(host, age_s, status):
    body = poison(5)
    assert send(host, request(envelope(body, age_s=age_s), body))[0] == status


def test_body_has_its_limit_to_the_byte(host):
    for length, status in [(20000, 200), (20001, 413)]:
        body = b'{"x":"' + b"x" * (length - 8) + b'"}'
        assert len(body) == length
        assert send(host, request(envelope(body), body))[0] == status
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part)
                           for part in (body[at:at + 3000] for at in range(0, length, 3000))) + b"0\r\n\r\n"
        data = request(envelope(body), b"", length=False, more=["Transfer-Encoding: chunked"]) + chunked
        assert send(host, data)[0] == status


def test_large_body_is_refused_before_it_is_sent(host):
    headers = envelope(b"x")
    for announced in [20001, 10**6, 10**15]:
        begin = time.monotonic()
        data = request(headers, b"", length=False, more=[f"Content-Length: {announced}", "Expect: 100-continue"])
        assert send(host, data)[0] == 413
        assert time.monotonic() - begin < 5


def test_empty_body_is_not_what_a_delivery_is(host):
    """Between host and vendor an empty body stands for method and path; a provider's delivery has no such form."""
    assert send(host, request(envelope(b"POST " + PATH.encode()), b""))[0] == 401


@pytest.mark.parametrize("path, method, status", [
    ("/v1/billing/other", "POST", 404), ("/v1/billing/", "POST", 404), ("/v1/billing", "POST", 404),
    ("/v1/billing/stub/", "POST", 404), ("/v1/billing/STUB", "POST", 404), ("/v1/billing/stub?x=1", "POST", 200),
    ("/v1/billing/stub", "GET", 405), ("/v1/billing/stub", "PUT", 405)])
def test_only_this_address_takes_deliveries(host, path, method, status):
    body = poison(6)
    data = request(envelope(body), body, path=path).replace(b"POST", method.encode(), 1)
    assert send(host, data)[0] == status


def test_one_answer_for_every_way_of_not_being_authentic(host):
    body = poison(7)
    good = dict(envelope(body))
    cases = [{**good, "webhook-signature": "v1,AAAA"}, {**good, "webhook-id": "a b"},
             {**good, "webhook-timestamp": "now"}, dict(envelope(body, age_s=400)),
             {**good, "webhook-signature": " ".join(["v1,AAAA"] * 17)}]
    answers = {(status, body) for status, _head, body in (send(host, request(case.items(), body)) for case in cases)}
    assert len(answers) == 1 and next(iter(answers))[0] == 401


def test_a_crowd_of_forgers_holds_up_nobody(host):
    """While 40 connections do nothing but lie, a chat's round trips stay short and a true delivery gets through."""
    host.add_user("alice")
    alice = host.login("alice")
    body = poison(8)
    forged = dict(envelope(body))
    forged["webhook-signature"] = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    data = request(forged.items(), body).replace(b"Connection: close\r\n", b"")
    is_over = threading.Event()
    counts = []

    def lie():
        link = socket.create_connection(split_address(host.addresses["http"]), timeout=20)
        n = 0
        while not is_over.is_set():
            link.sendall(data)
            assert b" 401 " in link.recv(4096)
            n += 1
        counts.append(n)
        link.close()

    liars = [threading.Thread(target=lie) for _i in range(40)]
    for liar in liars:
        liar.start()
    try:
        waits = []
        end = time.monotonic() + 3
        while time.monotonic() < end:
            begin = time.monotonic()
            alice.request("get", "<ping xmlns='urn:xmpp:ping'/>", to=host.domain)
            waits.append(time.monotonic() - begin)
        true_body = poison(9)
        assert send(host, request(envelope(true_body), true_body))[0] == 200
    finally:
        is_over.set()
        for liar in liars:
            liar.join()
    alice.close()
    waits.sort()
    assert len(counts) == 40 and min(counts) > 0
    assert waits[len(waits) // 2] < 0.25 and waits[-1] < 2, (waits[len(waits) // 2], waits[-1])
