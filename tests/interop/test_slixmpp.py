"""slixmpp, as its users write clients: contacts, chat, delayed messages, discovery, stream management, and another
device of the same account."""

import asyncio

import pytest

from lib.host import Host

slixmpp = pytest.importorskip("slixmpp")
pytestmark = pytest.mark.usefixtures("loop")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    server = Host(tmp_path_factory.mktemp("slixmpp")).start()
    for name in ("alice", "bob"):
        server.add_user(name)
    yield server
    server.stop()


class Person(slixmpp.ClientXMPP):
    def __init__(self, host, name, resource):
        super().__init__(f"{name}@{host.domain}/{resource}", "secret-word")
        self.host_under_test = host
        self.ca_certs = str(host.certificate.certificate)
        for plugin in ("xep_0030", "xep_0092", "xep_0198", "xep_0199", "xep_0202", "xep_0203"):
            self.register_plugin(plugin)
        self.messages = asyncio.Queue()
        self.is_up = asyncio.Event()
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("message", self.messages.put_nowait)
        self.add_event_handler("failed_auth", lambda _: self.messages.put_nowait(AssertionError("not let in")))

    async def started(self, _event):
        await self.get_roster()
        self.send_presence()
        self.is_up.set()

    async def come(self):
        self.connect(self.host_under_test.address)
        await asyncio.wait_for(self.is_up.wait(), 10)
        return self

    async def hear(self):
        return await asyncio.wait_for(self.messages.get(), 10)


def run(scene):
    asyncio.get_event_loop().run_until_complete(asyncio.wait_for(scene, 40))


def test_chat_and_discovery(host):
    async def scene():
        alice, bob = await Person(host, "alice", "phone").come(), await Person(host, "bob", "desk").come()
        alice.send_message(mto=bob.boundjid.bare, mbody="hello <b> & é", mtype="chat")
        heard = await bob.hear()
        assert heard["body"] == "hello <b> & é" and heard["from"] == alice.boundjid
        bob.send_message(mto=heard["from"], mbody="hello yourself", mtype="chat")
        assert (await alice.hear())["body"] == "hello yourself"
        info = await alice["xep_0030"].get_info(jid=host.domain)
        assert ("server", "im") in {(one[0], one[1]) for one in info["disco_info"]["identities"]}
        assert await alice["xep_0199"].ping(host.domain) < 5
        version = await alice["xep_0092"].get_version(host.domain)
        assert version["software_version"]["name"]
        for person in (alice, bob):
            await person.disconnect()
    run(scene())


def test_contacts(host):
    """Both ask and approve by slixmpp's own policy; each then sees the other come and go."""
    async def scene():
        alice, bob = Person(host, "alice", "phone"), Person(host, "bob", "desk")
        for person in (alice, bob):
            person.auto_authorize = person.auto_subscribe = True
            await person.come()
        here, gone = asyncio.Event(), asyncio.Event()

        def saw(presence):
            if presence["from"] == bob.boundjid:
                (gone if presence["type"] == "unavailable" else here).set()
        alice.add_event_handler("presence_available", saw)
        alice.add_event_handler("presence_unavailable", saw)
        alice.send_presence_subscription(pto=bob.boundjid.bare)
        await asyncio.wait_for(here.wait(), 10)
        for _ in range(200):
            subscription = alice.client_roster[bob.boundjid.bare]["subscription"]
            if subscription == "both":
                break
            await asyncio.sleep(0.05)
        assert subscription == "both"
        await bob.disconnect()
        await asyncio.wait_for(gone.wait(), 10)
        await alice.disconnect()
    run(scene())


def test_messages_wait_for_who_is_away(host):
    async def scene():
        alice = await Person(host, "alice", "phone").come()
        for number in range(3):
            alice.send_message(mto="bob@stoa.test", mbody=f"later {number}", mtype="chat")
        await alice["xep_0199"].ping(host.domain)
        await alice.disconnect()
        bob = await Person(host, "bob", "desk").come()
        for number in range(3):
            heard = await bob.hear()
            assert heard["body"] == f"later {number}" and heard["delay"]["stamp"] is not None
        bob["xep_0198"].send_ack()  # what a client has not acknowledged when it ends its stream is kept for the next time
        await bob["xep_0199"].ping(host.domain)
        await bob.disconnect()
    run(scene())


def test_a_lost_connection_is_resumed(host):
    """slixmpp enables stream management by itself; after its socket is torn away it comes back to the session."""
    async def scene():
        alice, bob = await Person(host, "alice", "phone").come(), await Person(host, "bob", "desk").come()
        resumed = asyncio.Event()
        bob.add_event_handler("session_resumed", lambda _: resumed.set())
        for _ in range(200):
            if bob["xep_0198"].enabled_in:
                break
            await asyncio.sleep(0.02)
        bob.transport.abort()
        alice.send_message(mto=bob.boundjid.full, mbody="while you were out", mtype="chat")
        await asyncio.sleep(0)
        if not bob.transport or bob.transport.is_closing():
            bob.connect(host.address)
        await asyncio.wait_for(resumed.wait(), 15)
        assert (await bob.hear())["body"] == "while you were out"
        for person in (alice, bob):
            await person.disconnect()
    run(scene())
