"""What strangers can make the server keep or do is limited, and each limit has the standard's answer."""

import os
import resource
import socket
import ssl
import time

import pytest

from lib.host import Host
from lib.process import BUILD, wait_until
from lib.stanza import CLIENT
from lib.xmpp import PING, StreamClosed, error_condition

CONFIG = {
    "limits": {"handshake_s": 3, "streams_per_address": 0, "outbox_bytes": "256K", "stanzas_per_s": 0,
               "bytes_per_s": 0, "bytes_per_s_before_login": 0, "unacked_stanzas": 0},
}

# The defaults of docs/operator-guide.
BEFORE_LOGIN, AFTER_LOGIN, DEPTH, CHILDREN = 10000, 256 * 1024, 64, 1000


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def secure(client):
    one = client()
    one.starttls()
    one.open()
    return one


def send_until_refused(client, chunks):
    """Sends as long as the server takes it."""
    try:
        for chunk in chunks:
            client.send(chunk)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        pass


def closed_with(client, condition):
    """A stream error, unless the reset overtook it."""
    elements = client.expect_closed()
    names = [child.tag for element in elements for child in element]
    assert any(condition in name for name in names) or not names, names


# --- sizes

def test_before_login_little_is_taken(secure):
    send_until_refused(secure, ["<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"]
                       + ["A" * 1000] * 20)
    closed_with(secure, "policy-violation")


def test_a_header_of_one_megabyte_of_attributes(client):
    one = client()
    send_until_refused(one, ["<stream:stream"] + [f" a{i}='{'x' * 1000}'" for i in range(1000)])
    closed_with(one, "policy-violation")


def test_a_stanza_up_to_the_limit_passes(session):
    alice, bob = session(), session()
    body = "x" * (AFTER_LOGIN - 1000)
    alice.send(f"<message to='{bob.jid}'><body>{body}</body></message>")
    assert len(bob.next().findtext(f"{{{CLIENT}}}body")) == len(body)


def test_a_stanza_over_the_limit_ends_the_stream(session):
    alice, bob = session(), session()
    send_until_refused(alice, [f"<message to='{bob.jid}'><body>"] + ["x" * 10000] * 40)
    closed_with(alice, "policy-violation")
    bob.expect_nothing()


def test_one_megabyte_of_attributes_after_login(session):
    one = session()
    send_until_refused(one, ["<message"] + [f" a{i}='{'x' * 100}'" for i in range(10000)])
    closed_with(one, "policy-violation")


@pytest.mark.parametrize("depth, passes", [(DEPTH, True), (DEPTH + 1, False)])
def test_depth(session, depth, passes):
    alice, bob = session(), session()
    inner = depth - 1  # the stanza itself counts
    alice.send(f"<message to='{bob.jid}' id='deep'>" + "<a>" * inner + "</a>" * inner + "</message>")
    if passes:
        assert bob.next().get("id") == "deep"
    else:
        closed_with(alice, "policy-violation")


@pytest.mark.parametrize("children, passes", [(CHILDREN, True), (CHILDREN + 1, False)])
def test_children(session, children, passes):
    alice, bob = session(), session()
    alice.send(f"<message to='{bob.jid}' id='many'>" + "<a/>" * children + "</message>")
    if passes:
        assert bob.next().get("id") == "many"
    else:
        closed_with(alice, "policy-violation")


def test_a_hundred_thousand_levels_do_no_harm(session):
    one, other = session(), session()
    send_until_refused(one, ["<message>"] + ["<a>" * 1000] * 100)
    closed_with(one, "policy-violation")
    other.barrier()


# --- time and numbers

def test_silence_before_login_ends(client):
    """Neither a connection that says nothing nor one that stops half-way stays."""
    silent, half = client(), client()
    half.open()
    started = time.monotonic()
    silent.expect_closed(timeout=20)
    half.expect_closed(timeout=20)
    assert time.monotonic() - started > 1


@pytest.mark.timeout_s(120)
def test_half_open_handshakes(host, session):
    """Ten thousand connections that began TLS and stopped: others are served, and none of them stays."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(10000, hard - 2000)
    working = session()
    hello = ssl.MemoryBIO()
    half = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname=host.domain)
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    first_bytes = hello.read()
    sockets = []
    try:
        for number in range(count):
            one = socket.create_connection(host.direct_tls, 5)
            one.sendall(first_bytes[:number % len(first_bytes)])
            sockets.append(one)
        started = time.monotonic()
        working.barrier()
        session().barrier()
        assert time.monotonic() - started < 15

        def all_closed():
            one = sockets[-1]
            one.setblocking(False)
            try:
                return one.recv(4096) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True
        wait_until(all_closed, 40, "the server to give half-open handshakes up")
    finally:
        for one in sockets:
            one.close()
    working.barrier()


@pytest.mark.parametrize("garbage", [
    os.urandom(2000), b"\x16\x03\x01\xff\xff" + b"\0" * 1000, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x80" * 500,
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
], ids=["random", "long record", "http", "sslv2", "short hello"])
def test_tls_garbage(host, session, garbage):
    with socket.create_connection(host.direct_tls, 5) as one:
        one.sendall(garbage)
        one.settimeout(10)
        try:
            while one.recv(4096):
                pass
        except ConnectionResetError:
            pass
    session().barrier()


def test_old_tls_is_refused(host):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(host.direct_tls, 5) as one, pytest.raises((ssl.SSLError, ConnectionResetError)):
        context.wrap_socket(one)


def test_client_that_never_reads(host, session):
    """Its messages pile up to a limit; then the session ends, and nobody else has noticed."""
    sender, deaf, other = session(), session(), session()
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    before = resident_bytes(host.process.pid)
    text = f"<message to='{deaf.jid}' type='headline'><body>{'x' * 20000}</body></message>"
    for _ in range(1000):
        sender.send(text)
    sender.reader.elements.clear()
    sender.barrier()
    other.barrier()
    quarantine = (300 << 20) if "asan" in BUILD.name else 0  # what ASan keeps of freed memory
    assert resident_bytes(host.process.pid) - before < quarantine + (16 << 20)
    answer = sender.request("get", f"<ping xmlns='{PING}'/>", to=deaf.jid)
    assert error_condition(answer)[1] in ("service-unavailable", "recipient-unavailable")


def test_a_slow_client_keeps_what_is_under_the_limit(session):
    sender, slow = session(), session()
    for number in range(500):
        sender.send(f"<message to='{slow.jid}' id='{number}'><body>x</body></message>")
    sender.barrier()
    assert [slow.next().get("id") for _ in range(500)] == [str(number) for number in range(500)]


def test_flood_is_slowed_and_not_dropped(tmp_path):
    """Over stanzas_per_s, a mean over five seconds, the server reads slower; nothing is lost, and others do not
    wait."""
    host = Host(tmp_path / "slow", config={"limits": {"stanzas_per_s": 1000}}).start()
    try:
        for name in ("alice", "bob", "carol"):
            host.add_user(name)
        with host.login("alice") as alice, host.login("bob") as bob, host.login("carol") as carol:
            started = time.monotonic()
            for first in range(0, 8000, 100):
                alice.send("".join(f"<message to='{bob.jid}' id='{first + i}'/>" for i in range(100)))
            carol.barrier()
            answered = time.monotonic() - started
            assert [bob.next().get("id") for _ in range(8000)] == [str(number) for number in range(8000)]
            finished = time.monotonic() - started
            assert finished > 2 and answered < finished - 1, (answered, finished)
    finally:
        host.stop()


def test_streams_per_address(tmp_path):
    host = Host(tmp_path / "few", config={"limits": {"streams_per_address": 5}}).start()
    try:
        streams = [host.connect() for _ in range(5)]
        for one in streams:
            one.open()
        with host.connect() as sixth:
            try:
                sixth.open()
                refused = False
            except (AssertionError, StreamClosed, OSError):
                refused = True
            assert refused
        streams.pop().close()

        def again():
            with host.connect() as one:
                try:
                    return one.open() is not None
                except (AssertionError, OSError):
                    return False
        wait_until(again, what="a place after one left")
        for one in streams:
            one.close()
    finally:
        host.stop()
