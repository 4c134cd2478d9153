"""host-client from outside: the real program against a real server, ours and Prosody, over real sockets."""

import itertools
import os
import socket
import sqlite3
import ssl
import stat
import subprocess
import time

import pytest

from lib.certificate import Certificate
from lib.client import HostClient
from lib.host import Host
from lib.process import program, wait_until
from lib.prosody import Prosody
from lib.xmpp import error_condition

_numbers = itertools.count(1)
PASSWORD = "secret-word"


class Restartable:
    """A server that comes back on the address it had."""

    def __init__(self, server):
        self.server = server

    def __getattr__(self, name):
        return getattr(self.server, name)

    def start(self):
        self.server.start()
        if isinstance(self.server, Host):
            self.server.groups["xmpp"]["listen"] = "%s:%d" % self.server.address
            self.server.groups["xmpp"]["direct_tls_listen"] = "%s:%d" % self.server.direct_tls
            self.server.write_config()
        return self


@pytest.fixture(scope="module", params=["stoa", "prosody"])
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "prosody" and not Prosody.is_installed():
        pytest.skip("Prosody is not installed")
    one = Restartable(Host(folder) if request.param == "stoa" else Prosody(folder)).start()
    yield one
    one.stop()


@pytest.fixture
def device(server, tmp_path):
    """Makes accounts, each on a device of its own; device (user) is another device of that account."""
    def make(user=None, **options):
        if user is None:
            user = f"person.{next(_numbers)}"
            server.add_user(user, PASSWORD)
        return HostClient(tmp_path / f"device.{next(_numbers)}", server, user, PASSWORD, **options)
    return make


@pytest.fixture
def closing():
    """Ends what a test leaves running."""
    ends = []
    yield ends.append
    for end in ends:
        end()


def listening(device, closing):
    listener = device.listen()
    closing(listener.stop)
    listener.wait("online")
    return listener


class Impostor:
    """Looks like an XMPP server up to where the password would come. `secret` is what it was told inside TLS."""

    HEADER = ("<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' id='1' from='stoa.test'"
              " xmlns:stream='http://etherx.jabber.org/streams'>")

    def __init__(self, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.certificate, certificate.private_key)
        self.secret = b""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.peer = None
        return self

    def __exit__(self, *_exception):
        self.listener.close()
        if self.peer:
            self.peer.close()

    def start_tls(self):
        """FALSE if the client leaves during the handshake."""
        self.peer, _ = self.listener.accept()
        self.peer.settimeout(20)
        self.peer.recv(4096)
        self.send(f"{self.HEADER}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/>"
                  "</starttls></stream:features>")
        assert b"<starttls" in self.peer.recv(4096)
        self.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        try:
            self.peer = self.context.wrap_socket(self.peer, server_side=True)
        except (ssl.SSLError, ConnectionError):
            return False
        return True

    def send(self, text):
        try:
            self.peer.sendall(text.encode())
        except (ssl.SSLError, ConnectionError):
            pass

    def open_stream(self, features):
        self.send(f"{self.HEADER}<stream:features>{features}</stream:features>")

    def read_until(self, words):
        while words not in self.secret:
            data = self.peer.recv(4096)
            assert data, f"the client left before {words}; it had said {self.secret}"
            self.secret += data

    def read_all(self):
        try:
            while data := self.peer.recv(4096):
                self.secret += data
        except (ssl.SSLError, ConnectionError):
            pass


# --- logging in

def test_login_with_starttls_and_with_direct_tls(device):
    one = device()
    online, = one.must("login")
    assert online["event"] == "online" and online["jid"].startswith(one.jid + "/")
    one.address = one.server.direct_tls
    online, = one.must("--direct-tls", "login")
    assert online["jid"].startswith(one.jid + "/")


@pytest.mark.timeout_s(120)
def test_short_sessions_end_well_whenever_the_goodbye_comes(device):
    """Several at once, so that the server's goodbye is sometimes there before the client looks for it."""
    one = device()
    one.must("login")
    for _ in range(5):
        running = [one.spawn("--json", "login") for _ in range(6)]
        for process in running:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, (out, err)


def test_wrong_password_is_not_authenticated(device):
    one = device()
    one.password = "not-the-word"
    code, objects, err = one.run("login")
    assert code == 4
    assert "not-authorized" in err
    assert "not-the-word" not in err + str(objects)


def test_unknown_user_is_not_authenticated(device):
    assert device("nobody-of-that-name").run("login")[0] == 4


def test_unreachable_server_cannot_be_connected_to(device):
    one = device()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one.address = taken.getsockname()
    assert one.run("login")[0] == 3


def test_server_that_answers_nothing_of_xmpp(device):
    """It takes the connection and says things that are not XML."""
    one = device()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one.address = listener.getsockname()
        process = one.spawn("--json", "login")
        peer, _ = listener.accept()
        peer.sendall(b"220 mail.example.org ESMTP\r\n")
        process.communicate(timeout=20)
        peer.close()
    assert process.returncode == 3


def test_server_without_tls_never_sees_the_password(device):
    """Offered only PLAIN over plain TCP, the client leaves."""
    one = device()
    received = b""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one.address = listener.getsockname()
        process = one.spawn("--json", "login")
        peer, _ = listener.accept()
        peer.settimeout(20)
        peer.recv(4096)
        peer.sendall(b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' id='1' from='stoa.test'"
                     b" xmlns:stream='http://etherx.jabber.org/streams'><stream:features><mechanisms"
                     b" xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
                     b"</stream:features>")
        try:
            while data := peer.recv(4096):
                received += data
        except ConnectionResetError:
            pass
        peer.close()
        process.communicate(timeout=20)
    assert process.returncode == 3
    assert b"<auth" not in received


def test_password_that_ends_at_end_of_file_and_none_at_all(device):
    one = device()
    argv = one.arguments(0, ["login"])
    assert subprocess.run(argv, input=PASSWORD, capture_output=True, text=True, timeout=40).returncode == 0
    assert subprocess.run(argv, input="", capture_output=True, text=True, timeout=40).returncode == 4


# --- certificates

def test_unknown_certificate_is_refused_then_pinned(device):
    one = device(pin=False)
    pin = one.server.certificate.sha256()
    code, objects, err = one.run("login")
    assert code == 3
    assert objects[-1]["event"] == "certificate" and objects[-1]["fingerprint"] == pin
    assert pin in err
    one.must("--pin", pin, "login")
    one.must("login")


def test_other_certificate_than_the_pinned_is_refused(device):
    one = device(pin=False)
    code, objects, _ = one.run("--pin", "0" * 64, "login")
    assert code == 3
    assert objects[-1]["event"] == "certificate"
    assert one.run("login")[0] == 3, "the refused pin was not kept"


def test_other_certificate_than_before_is_refused_and_said_so(device, tmp_path):
    one = device(pin=False)
    one.must("--pin", one.server.certificate.sha256(), "login")
    other = Certificate(tmp_path, one.server.domain)
    with Impostor(other) as impostor:
        one.address = impostor.address
        process = one.spawn("--json", "login")
        impostor.start_tls()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "not the one that was trusted before" in err


def test_server_that_is_not_trusted_never_sees_the_password(device, tmp_path):
    """It completes the handshake and offers the mechanism that would show the password in clear."""
    one = device(pin=False)
    with Impostor(Certificate(tmp_path, one.server.domain)) as impostor:
        one.address = impostor.address
        process = one.spawn("--json", "login")
        if impostor.start_tls():
            impostor.open_stream("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                                 "<mechanism>PLAIN</mechanism></mechanisms>")
            impostor.read_all()
        process.communicate(timeout=20)
    assert process.returncode == 3
    assert b"auth" not in impostor.secret


def test_wrong_password_is_tried_once_and_never_in_clear(device, tmp_path):
    """After a refused SCRAM nothing weaker follows, though the server is trusted and offers it."""
    one = device(pin=False)
    certificate = Certificate(tmp_path, one.server.domain)
    with Impostor(certificate) as impostor:
        one.address = impostor.address
        process = one.spawn("--json", "--pin", certificate.sha256(), "login")
        assert impostor.start_tls()
        impostor.open_stream("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism>"
                             "<mechanism>PLAIN</mechanism></mechanisms>")
        impostor.read_until(b"</auth>")
        impostor.send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>")
        impostor.read_all()
        process.communicate(timeout=20)
    assert process.returncode == 4
    assert impostor.secret.count(b"<auth") == 1 and b"PLAIN" not in impostor.secret


def test_every_address_of_a_name_is_tried(device):
    """localhost has two addresses, and the server listens on one."""
    one = device()
    one.address = ("localhost", one.address[1])
    one.must("login")


# --- the command line

@pytest.mark.parametrize("words", [["fly"], ["send", "someone@stoa.test"], ["login", "--password", "x"],
                                   ["--server", "nowhere:", "login"], ["--account", "no-domain", "login"]])
def test_wrong_usage(device, words):
    assert device().run(*words)[0] == 2


def test_help_names_every_command():
    run = subprocess.run([program("host-client"), "--help"], capture_output=True, text=True, timeout=10)
    assert run.returncode == 0
    for word in ["login", "send", "listen", "roster", "catalog", "serials", "buy", "order", "decline", "receipt", "plugin"]:
        assert f"  {word}" in run.stdout


def test_what_is_kept_is_for_the_user_alone(device):
    one = device()
    one.must("login")
    for folder, _, names in os.walk(one.folder):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600, name


# --- messages

def test_message_between_two_clients(device, closing):
    alice, bob = device(), device()
    inbox = listening(bob, closing)
    body = "hello <bob> & 'co' \"é\" \U0001f40b\nsecond line"
    sent, = alice.must("send", bob.jid, body)
    message = inbox.wait("message")
    assert sent["event"] == "sent" and sent["to"] == bob.jid
    assert message["body"] == body
    assert message["peer"] == alice.jid and message["from"].startswith(alice.jid + "/")
    assert message["delayed"] is False


def test_message_with_a_character_that_xml_forbids_arrives_without_it(device, closing):
    alice, bob = device(), device()
    inbox = listening(bob, closing)
    alice.must("send", bob.jid, "bell\x07ring")
    assert inbox.wait("message")["body"] == "bell\ufffdring"


def test_message_to_one_who_is_away_waits(device, closing):
    alice, bob = device(), device()
    alice.must("send", bob.jid, "for later")
    inbox = listening(bob, closing)
    message = inbox.wait("message")
    assert message["body"] == "for later" and message["delayed"] is True


def test_message_to_nobody_is_refused(device):
    code, _, err = device().run("send", "nobody-of-that-name@stoa.test", "hello?")
    assert code == 1
    assert "cannot be reached" in err


def test_sending_does_not_take_the_messages_that_wait(device, closing):
    """`send` is not there for others: what waits for the user goes to a client that shows it."""
    alice, bob = device(), device()
    alice.must("send", bob.jid, "for later")
    bob.must("send", alice.jid, "from bob")
    assert listening(bob, closing).wait("message")["body"] == "for later"


def test_listen_for_some_seconds_ends_by_itself(device):
    started = time.monotonic()
    code, objects, _ = device().run("listen", "--for", "0.5")
    assert code == 0 and objects[0]["event"] == "online"
    assert time.monotonic() - started < 10


def test_contact_list_is_changed_and_kept(device):
    alice, bob = device(), device()
    alice.must("roster", "add", bob.jid, "Bob")
    item, = alice.must("roster", "list")
    assert (item["jid"], item["name"], item["asked"]) == (bob.jid, "Bob", True)
    item, = device(alice.user).must("roster", "list")
    assert item["jid"] == bob.jid
    alice.must("roster", "remove", bob.jid)
    assert alice.must("roster", "list") == []


def test_pushes_from_strangers_are_refused(server, device, closing):
    """Only the account's server changes the contact list, only the market the serials."""
    alice, mallory = device(), device()
    inbox = listening(alice, closing)
    peer = server.login(mallory.user, password=PASSWORD)
    closing(peer.close)
    to = inbox.wait("online")["jid"]
    for payload in [f"<query xmlns='jabber:iq:roster'><item jid='{mallory.jid}' subscription='both'/></query>",
                    "<serials xmlns='urn:stoa:serials:1' ver='9'><plugin id='weather' name='W' state='active' user='k'"
                    " epoch='1'><serial>FORGED</serial></plugin></serials>",
                    "<order xmlns='urn:stoa:market:1' id='o_1' state='fulfilled'/>"]:
        answer = peer.request("set", payload, to)
        assert error_condition(answer) == ("auth", "forbidden")
    assert alice.must("roster", "list") == []
    with sqlite3.connect(alice.folder / "accounts" / alice.jid / "client.db") as db:
        assert db.execute("SELECT COUNT(*) FROM serials").fetchone() == (0,)


def test_questions_of_others_are_answered(server, device, closing):
    alice, bob = device(), device()
    inbox = listening(alice, closing)
    peer = server.login(bob.user, password=PASSWORD)
    closing(peer.close)
    to = inbox.wait("online")["jid"]
    assert peer.request("get", "<ping xmlns='urn:xmpp:ping'/>", to).get("type") == "result"
    assert peer.request("get", "<query xmlns='jabber:iq:version'/>", to)[0][0].text == "host-client"
    assert error_condition(peer.request("get", "<query xmlns='urn:unheard-of'/>", to)) == ("cancel",
                                                                                         "service-unavailable")


# --- losing the server

def test_listener_returns_after_the_server_restarts(server, device, closing):
    alice, bob = device(), device()
    inbox = listening(bob, closing)
    alice.must("send", bob.jid, "before")
    inbox.wait("message")
    server.stop()
    inbox.wait("offline")
    server.start()
    inbox.wait("online", 2, timeout=30)
    alice.must("send", bob.jid, "after")
    inbox.wait("message", 2)
    assert inbox.bodies() == ["before", "after"]


def test_messages_written_while_the_server_is_away_arrive_once(server, device, closing):
    alice, bob = device(), device()
    inbox = listening(bob, closing)
    screen = alice.terminal()
    closing(screen.kill)
    screen.wait("online as")
    screen.enter(f"/msg {bob.jid} first")
    inbox.wait("message")
    server.stop()
    screen.wait("offline:")
    screen.enter(f"/msg {bob.jid} second")
    screen.enter(f"/msg {bob.jid} third")
    screen.wait("will be sent when the connection is back")
    server.start()
    inbox.wait("message", 3, timeout=40)
    screen.enter("/quit")
    assert screen.end() == 0
    # Whatever else were on its way would come before this.
    alice.must("send", bob.jid, "last")
    inbox.wait("message", 4)
    assert inbox.bodies() == ["first", "second", "third", "last"]


@pytest.mark.timeout_s(120)
def test_burst_of_messages_around_a_restart_arrives_once_and_in_order(server, device, closing):
    alice, bob = device(), device()
    inbox = listening(bob, closing)
    screen = alice.terminal()
    closing(screen.kill)
    screen.wait("online as")
    bodies = [f"number {number}" for number in range(90)]
    for body in bodies[:30]:
        screen.enter(f"/msg {bob.jid} {body}")
    server.stop()
    for body in bodies[30:60]:
        screen.enter(f"/msg {bob.jid} {body}")
    screen.wait(bodies[59])
    server.start()
    for body in bodies[60:]:
        screen.enter(f"/msg {bob.jid} {body}")
    inbox.wait("message", 90, timeout=60)
    screen.enter("/quit")
    assert screen.end() == 0
    alice.must("send", bob.jid, "last")
    wait_until(lambda: "last" in inbox.bodies(), what="the last message")
    assert inbox.bodies() == [*bodies, "last"]


def test_messages_of_a_killed_client_are_sent_by_the_next(server, device, closing):
    alice, bob = device(), device()
    inbox = listening(bob, closing)
    screen = alice.terminal()
    closing(screen.kill)
    screen.wait("online as")
    server.stop()
    screen.wait("offline:")
    screen.enter(f"/msg {bob.jid} left behind")
    screen.wait("will be sent when the connection is back")
    screen.kill()
    server.start()
    inbox.wait("online", 2, timeout=30)
    again = alice.terminal()
    closing(again.kill)
    assert inbox.wait("message")["body"] == "left behind"
    again.enter("/quit")
    assert again.end() == 0
    with sqlite3.connect(alice.folder / "accounts" / alice.jid / "client.db") as db:
        assert db.execute("SELECT COUNT(*) FROM outbox").fetchone() == (0,)


def test_message_sent_twice_by_a_sender_that_lost_its_connection_is_shown_once(device, closing, server):
    """What a second sending looks like on the wire: the same origin-id."""
    alice, bob = device(), device()
    inbox = listening(bob, closing)
    peer = server.login(alice.user, password=PASSWORD)
    closing(peer.close)
    for _ in range(2):
        peer.send(f"<message type='chat' to='{bob.jid}' id='m1'><body>once</body>"
                  "<origin-id xmlns='urn:xmpp:sid:0' id='m1'/></message>")
    peer.send(f"<message type='chat' to='{bob.jid}' id='m2'><body>end</body></message>")
    inbox.wait("message", 2)
    assert inbox.bodies() == ["once", "end"]


# --- the terminal

def test_interactive_conversation(device, closing):
    alice, bob = device(), device()
    alice.must("roster", "add", bob.jid, "Bob")
    screen = alice.terminal()
    closing(screen.kill)
    screen.wait("logging in")
    screen.wait("online as " + alice.jid)
    inbox = listening(bob, closing)
    screen.type("/ch")
    screen.type("\t")
    screen.wait("/chat ")
    screen.type(bob.jid[:6] + "\t\n")
    screen.wait("Bob> ")
    screen.enter("are you there?")
    assert inbox.wait("message")["body"] == "are you there?"
    screen.type("half a li")
    bob.must("send", alice.jid, "yes\nMallory: no")
    screen.wait("Bob: yes")
    screen.wait("      Mallory: no")
    screen.wait("Bob> half a li")
    screen.enter("ne")
    assert inbox.wait("message", 2)["body"] == "half a line"
    screen.enter("/history")
    screen.wait("me: are you there?")
    screen.enter("/nonsense")
    screen.wait("there is no /nonsense")
    screen.enter("/quit")
    assert screen.end() == 0


def test_escape_sequences_of_others_do_not_reach_the_terminal(device, closing):
    alice, bob = device(), device()
    screen = alice.terminal()
    closing(screen.kill)
    screen.wait("online as")
    bob.must("send", alice.jid, "clear\u009b2J\u202eevil")
    screen.wait("clear")
    screen.wait("evil")
    assert "\u009b2J".encode() not in screen.raw and "\u202e".encode() not in screen.raw


def test_interactive_pins_an_unknown_certificate_on_consent(device, closing):
    one = device(pin=False)
    screen = one.terminal()
    closing(screen.kill)
    screen.wait("SHA-256 fingerprint")
    screen.enter("n")
    assert screen.end() == 3
    screen = one.terminal()
    closing(screen.kill)
    screen.wait("SHA-256 fingerprint")
    screen.enter("y")
    screen.wait("online as")
    screen.type("\x04")
    assert screen.end() == 0
    one.must("login")


def test_interactive_wrong_password_ends(device, closing):
    one = device()
    one.password = "not-the-word"
    screen = one.terminal()
    closing(screen.kill)
    assert screen.end() == 4


def test_password_is_asked_for_and_not_shown(device, closing):
    one = device()
    screen = one.terminal("login", has_password=False)
    closing(screen.kill)
    screen.wait(f"Password of {one.jid}: ")
    screen.enter(PASSWORD)
    screen.wait("online as")
    assert screen.end() == 0
    assert PASSWORD not in screen.text()


def test_interrupt_at_the_password_gives_up(device, closing):
    screen = device().terminal("login", has_password=False)
    closing(screen.kill)
    screen.wait("Password of")
    screen.type("\x03")
    assert screen.end() == 4


def test_interrupt_gives_the_terminal_back(device, closing):
    screen = device().terminal()
    closing(screen.kill)
    screen.wait("online as")
    screen.type("\x03")
    assert screen.end() == 0
