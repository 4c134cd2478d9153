"""What stands between the server and the others, and does to them what networks and vendors do: seeded, and counted."""

import asyncio
import collections
import json
import time
import urllib.parse

from stress.web import Server, request

LOSABLE_S = 2  # well before an order of the run expires
PASSED_ON = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature", "authorization", "idempotency-key")


def choose(rng, table, is_calm=False):
    """One of [(weight, what)]; the first if nothing is to go wrong."""
    if is_calm:
        return table[0][1]
    return rng.choices([what for _weight, what in table], [weight for weight, _what in table])[0]


def age_s(order):
    """Of an order, by its id: the first 48 bits of a UUIDv7 are its milliseconds."""
    digits = "0123456789abcdefghijklmnopqrstuv"
    bits = "".join(f"{digits.index(one):05b}" for one in order.removeprefix("o_"))
    return time.time() - int(bits[:48], 2) / 1000


class CallbackRoad:
    """From the provider to the server: callbacks are passed on, doubled, put off behind later ones, answered wrongly,
    replayed, or lost. That of an open checkout may be lost for ever, since the server asks after those; of any other
    the provider is told that it did not arrive, as it would be."""

    TABLE = [(60, "pass"), (10, "duplicate"), (10, "delay"), (8, "drop"), (6, "lose-answer"), (6, "replay")]

    def __init__(self, rng):
        self.rng, self.target = rng, None
        self.steps = 0  # deliveries that were answered
        self.closed = set()  # orders that were declined
        self.counts, self.is_calm = collections.Counter(), False
        self.old = collections.deque(maxlen=200)
        self.tasks = set()
        self.server = Server(self.handle)

    async def pass_on(self, path, headers, body):
        kept = {name: headers[name] for name in PASSED_ON if name in headers}
        status, _headers, _body = await request(self.target, "POST", path, kept, body)
        self.steps += status == 200
        self.counts["delivered" if status == 200 else "undelivered" if status == 0 else f"answered {status}"] += 1
        return status

    async def pass_on_later(self, path, headers, body):
        await asyncio.sleep(self.rng.uniform(0.02, 1.5))
        while await self.pass_on(path, headers, body) in (0, 503):
            await asyncio.sleep(0.1)

    def spawn(self, coroutine):
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def handle(self, _method, path, headers, body):
        kind = choose(self.rng, self.TABLE, self.is_calm)
        self.counts[kind] += 1
        call = (path, headers, body)
        if kind == "delay":
            self.spawn(self.pass_on_later(*call))
            return 200, {}, b"{}"
        if kind == "drop":
            event = json.loads(body)
            order = event["data"]["order"]
            is_open = event["type"].startswith("checkout.") and order not in self.closed and age_s(order) < LOSABLE_S
            self.counts["lost for ever"] += is_open
            return 200 if is_open else 502, {}, b"{}"
        status = await self.pass_on(*call)
        self.old.append(call)
        if kind == "duplicate":
            await asyncio.gather(*(self.pass_on(*call) for _ in range(self.rng.randint(1, 3))))
        if kind == "replay":
            await self.pass_on(*self.rng.choice(self.old))
        if kind == "lose-answer":
            return 500, {}, b"{}"
        return status or 502, {}, b"{}"

    async def settle(self):
        """Until nothing is on its way any more."""
        while self.tasks:
            await asyncio.wait(self.tasks)


class ApiRoad:
    """From the server to the provider: some requests fail before they arrive, some answers are lost or late."""

    TABLE = [(88, "pass"), (4, "refuse"), (4, "lose-answer"), (4, "slow")]

    def __init__(self, rng, target):
        self.rng, self.target = rng, target
        self.counts, self.is_calm = collections.Counter(), False
        self.server = Server(self.handle)

    async def handle(self, method, path, headers, body):
        kind = choose(self.rng, self.TABLE, self.is_calm)
        self.counts[kind] += 1
        if kind == "refuse":
            return 503, {}, b"{}"
        if kind == "slow":
            await asyncio.sleep(self.rng.uniform(0.1, 1.5))
        kept = {name: headers[name] for name in PASSED_ON if name in headers}
        status, _headers, answer = await request(self.target, method, path, kept, body)
        if kind == "lose-answer":
            return None
        return status or 502, {"Content-Type": "application/json"}, answer


class Vendor:
    """A plugin server that keeps its contract but for a bad day now and then: it is away, slow, forgets to answer, refuses,
    or hands out a serial that somebody else has."""

    TABLE = [(84, "good"), (4, "away"), (4, "lose-answer"), (3, "slow"), (2, "refuse"), (2, "others")]

    def __init__(self, rng, timeout_s):
        self.rng, self.timeout_s = rng, timeout_s
        self.issued, self.owners = {}, {}  # request → serial, (plugin, user) that really is its own
        self.voided, self.refused, self.others = set(), set(), set()
        self.counts, self.is_calm = collections.Counter(), False
        self.server = Server(self.handle)

    async def handle(self, method, path, _headers, body):
        kind = choose(self.rng, self.TABLE, self.is_calm)
        self.counts[kind] += 1
        if kind == "away":
            return self.answer(503, {})
        if kind == "slow":
            await asyncio.sleep(self.rng.uniform(0.2, 1.5) * self.timeout_s)
        if method == "POST":
            wish = json.loads(body)
            name = wish["request"]
            answer = self.issue(name, (wish["plugin"], wish["user"]), kind)
        else:
            name = urllib.parse.unquote(path.rsplit("/", 1)[1])
            answer = self.look_up(name) if method == "GET" else self.void(name)
        return None if kind == "lose-answer" else answer

    @staticmethod
    def answer(status, value):
        return status, {"Content-Type": "application/json"}, json.dumps(value).encode()

    def issue(self, name, owner, kind):
        if name in self.voided or name in self.refused:
            return self.answer(410 if name in self.voided else 422, {"error": "no"})
        if name not in self.issued and kind == "refuse":
            self.refused.add(name)
            return self.answer(422, {"error": "no"})
        others = [one for one, (plugin, user) in self.owners.items() if plugin == owner[0] and user != owner[1]]
        if name not in self.issued and kind == "others" and others:
            self.issued[name] = self.issued[self.rng.choice(others)]
            self.others.add(name)
        elif name not in self.issued:
            self.owners[name] = owner
        return self.answer(201, {"serial": self.issued.setdefault(name, f"VENDOR-{name}")})

    def look_up(self, name):
        if name in self.voided or name not in self.issued:
            return self.answer(404, {"error": "not issued"})
        return self.answer(200, {"serial": self.issued[name]})

    def void(self, name):
        self.voided.add(name)
        return 204, {}, b""
