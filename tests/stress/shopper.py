"""A user's errands, one after another: each has a request id, and is begun again from its start when the server dies, as a
client does. What was shown is remembered, and two different serials for the same epoch are a violation."""

import asyncio
import collections
import json
import re
import urllib.parse
import uuid

from lib.billing import KEY
from stress.client import Gone, Session
from stress.parties import choose
from stress.web import request

SERIALS = "{urn:stoa:serials:1}"
MARKET = "{urn:stoa:market:1}"

ERRANDS = [(56, "buy"), (8, "decline"), (5, "decline-at-provider"), (6, "pay-after-declining"), (4, "leave"),
           (10, "buy-and-be-refunded"), (5, "buy-and-reject"), (6, "dispute")]
ERRANDS_PER_USER = 12
PATIENCE_S = 1.5  # for a serial, before the next errand is begun; the order goes on by itself


class Witness:
    """What all users were shown together."""

    def __init__(self):
        self.serials = {}  # (user, plugin, epoch) → serial
        self.owners = {}  # serial → (user, plugin)
        self.violations = []
        self.counts = collections.Counter()

    def see(self, user, element):
        for plugin in element:
            serial, name = plugin.findtext(f"{SERIALS}serial"), plugin.get("id")
            if serial is None:
                continue
            known = self.serials.setdefault((user, name, plugin.get("epoch")), serial)
            if known != serial:
                self.violations.append(f"{user} was shown two serials of {name} for one epoch")
            owner = self.owners.setdefault((name, serial), user)
            if owner != user:
                self.violations.append(f"a serial of {name} was given to {owner} and to {user}")


class Shopper:
    def __init__(self, run, number, rng):
        self.run, self.number, self.rng = run, number, rng
        self.user, self.generation, self.errands = None, 0, 0
        self.session = None

    async def enter(self):
        """A session, whatever it takes."""
        while self.session is None or self.session.is_gone:
            await self.run.wait_up()
            is_new = self.user is None
            if is_new:
                self.generation += 1
                self.user = f"u{self.number}-{self.generation}"
                self.run.users.append(self.user)
            self.held = {}
            session = Session(self.run.domain, self.push)
            try:
                # The answer to a registration may have been lost: a conflict then is with ourselves.
                self.session = await session.open(self.run.xmpp_address, self.user, is_new=is_new or self.errands == 0)
                self.take(await self.session.ask("get", "<serials xmlns='urn:stoa:serials:1'/>"))
            except Gone:
                session.close()
                self.session = None
                await asyncio.sleep(0.005)
        return self.session

    def take(self, answer):
        if answer.get("type") == "result":
            self.push(answer[0])

    def push(self, element):
        if element.tag == f"{SERIALS}serials":
            self.run.witness.see(self.user, element)
            for plugin in element:
                self.held[plugin.get("id")] = (plugin.get("state"), int(plugin.get("epoch")))

    async def insist(self, errand):
        """Does it, again and again while the server dies."""
        while True:
            session = await self.enter()
            try:
                result = await errand(session)
                self.run.steps += 1
                return result
            except Gone:
                session.close()

    async def shop(self):
        while not self.run.is_closing:
            if self.errands >= ERRANDS_PER_USER:
                self.user, self.errands = None, 0
                if self.session:
                    self.session.close()
            kind = choose(self.rng, ERRANDS)
            plugin = self.rng.choice(self.run.plugins)
            await self.do(kind, plugin, str(uuid.UUID(int=self.rng.getrandbits(128))))
            self.errands += 1
        if self.session:
            self.session.close()

    async def do(self, kind, plugin, name):
        counts = self.run.witness.counts
        order = await self.insist(lambda session: self.order(session, plugin, name))
        if order is None:
            counts["not sold"] += 1
            return
        counts[kind] += 1
        identity, url = order.get("id"), order.find(f"{MARKET}charge")
        url = url.get("url") if url is not None else None
        if kind == "leave":
            return
        if kind in ("decline", "pay-after-declining"):
            self.run.callbacks.closed.add(identity)
            await self.insist(lambda session: session.ask("set", f"<order xmlns='urn:stoa:market:1' id='{identity}' action='decline'/>"))
        if kind == "decline-at-provider":
            await self.press(url, "decline")
        if kind == "decline" or kind == "decline-at-provider":
            return
        if url is not None:
            await self.press(url, "pay")
        if kind == "pay-after-declining" or not await self.wait_active(plugin):
            return
        if kind == "buy-and-reject":
            _state, epoch = self.held[plugin]
            await self.insist(lambda session: session.ask(
                "set", f"<rejected xmlns='urn:stoa:serials:1' plugin='{plugin}' reason='bad' epoch='{epoch}'/>"))
        elif kind == "buy-and-be-refunded":
            await self.at_provider(url, "/v1/refunds", name)
        elif kind == "dispute" and self.run.has_disputes:
            await self.at_provider(url, "/v1/test/disputes", name)

    async def order(self, session, plugin, name):
        """The order with its charge, if it is to be charged; None if it is not sold now."""
        for _ in range(100):
            answer = await session.ask("set", f"<order xmlns='urn:stoa:market:1' plugin='{plugin}' request='{name}'/>")
            if answer.get("type") != "result":
                return None
            order = answer[0]
            if order.get("state") != "awaiting-payment" or order.find(f"{MARKET}charge") is not None:
                return order
            await asyncio.sleep(0.05)
        return None

    async def press(self, url, action):
        if url is None:
            return
        place = urllib.parse.urlsplit(url)
        _status, _headers, page = await request(place.netloc, "GET", place.path)
        token = re.search(rb"name=.token. value='([^']+)'", page)
        if token is None:
            if action != "pay" or self.session is None:
                return
            token = self.run.tokens.get(url)  # a page that is over shows no button; the form was open before
            if token is None:
                return
        else:
            token = self.run.tokens[url] = token.group(1).decode()
        form = urllib.parse.urlencode({"token": token, "action": action}).encode()
        await request(place.netloc, "POST", place.path, {"Content-Type": "application/x-www-form-urlencoded"}, form)

    async def wait_active(self, plugin):
        """Whether the serial came, in this session or the next."""
        end = asyncio.get_running_loop().time() + PATIENCE_S
        while asyncio.get_running_loop().time() < end:
            await self.enter()
            if self.held.get(plugin, ("",))[0] == "active":
                return True
            await asyncio.sleep(0.01)
        return False

    async def at_provider(self, url, path, name):
        """A person at the provider gives the money back, or the buyer disputes the payment there."""
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", "Idempotency-Key": name}
        checkout = urllib.parse.urlsplit(url).path.rsplit("/", 1)[1] if url else ""
        status, _headers, body = await request(self.run.stub_address, "GET", f"/v1/checkouts/{checkout}", headers)
        if status != 200 or not (payments := json.loads(body)["payments"]):
            return
        payment = payments[0]
        if path == "/v1/refunds":
            wish = {"payment": payment["payment"], "amount": payment["amount"], "currency": "EUR", "reason": "asked for"}
            await request(self.run.stub_address, "POST", path, headers, json.dumps(wish).encode())
            return
        for action in ("open", self.rng.choice(["won", "lost"])):
            wish = {"payment": payment["payment"], "action": action}
            await request(self.run.stub_address, "POST", path, headers, json.dumps(wish).encode())
            await asyncio.sleep(self.rng.uniform(0, 0.3))
