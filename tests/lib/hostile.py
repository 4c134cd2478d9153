"""Callbacks that lie: made in thousands before they are sent, then sent over many connections as fast as they are answered.
Each kind has the answers it may get; none may change anything."""

import asyncio
import base64
import collections
import hashlib
import json
import random
import time

from lib.billing import sign

PATH = "/v1/billing/{}"
OTHER_SECRET = "whsec_" + base64.b64encode(b"another-key-another-key-another-").decode()
MAX_BODY = 20_000
N_TEMPLATES = 4000
N_SLOW = 16


class Lies:
    """`known`: (id, body) of deliveries that were taken; `wanted`: bodies of events that somebody would like to be true."""

    def __init__(self, provider, secret, known, wanted, seed=1):
        self.path, self.secret, self.known, self.wanted = PATH.format(provider), secret, known, wanted
        self.rng = random.Random(seed)
        self.number = 0
        self.kinds = [name.removeprefix("make_") for name in dir(self) if name.startswith("make_")]

    def identity(self):
        self.number += 1
        return f"msg_lie{self.number}"

    def request(self, headers, body, *, method="POST", path=None, length=None):
        lines = [f"{method} {path or self.path} HTTP/1.1", "Host: x", "Content-Type: application/json",
                 f"Content-Length: {len(body) if length is None else length}"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def signed(self, identity, body, *, secret=None, age_s=0):
        at = int(time.time()) - age_s
        return [("webhook-id", identity), ("webhook-timestamp", at),
                ("webhook-signature", sign(secret or self.secret, identity, at, body))]

    def lie(self):
        return self.rng.choice(self.wanted)

    # --- kinds: (allowed statuses, bytes)

    def make_forged(self):
        body = self.lie()
        return {401}, self.request(self.signed(self.identity(), body, secret=OTHER_SECRET), body)

    def make_unsigned_version(self):
        body = self.lie()
        headers = self.signed(self.identity(), body)
        version = self.rng.choice(["v0", "v2", "v1a", "V1", ""])
        return {401}, self.request([*headers[:2], ("webhook-signature", headers[2][1].replace("v1", version, 1))], body)

    def make_replayed(self):
        """What was true is true again, and known."""
        identity, body = self.rng.choice(self.known)
        return {200}, self.request(self.signed(identity, body), body)

    def make_stale(self):
        body = self.lie()
        return {401}, self.request(self.signed(self.identity(), body, age_s=self.rng.choice([400, 86_400, -400, 10 ** 9])), body)

    def make_mutated(self):
        """One bit of a good delivery's body is another."""
        identity, body = self.rng.choice(self.known)
        headers, place = self.signed(identity, body), self.rng.randrange(len(body))
        changed = body[:place] + bytes([body[place] ^ (1 << self.rng.randrange(8))]) + body[place + 1:]
        return {401}, self.request(headers, changed)

    def make_mutated_envelope(self):
        body = self.lie()
        headers = self.signed(self.identity(), body, secret=OTHER_SECRET)
        name, value = headers[which := self.rng.randrange(3)]
        text = list(str(value))
        text[self.rng.randrange(len(text))] = self.rng.choice("~ \"'<>;,=%\\\x7f\xff0aZ")
        headers[which] = (name, "".join(text))
        return {400, 401}, self.request(headers, body)

    def make_other_id(self):
        """A good signature under another id."""
        identity, body = self.rng.choice(self.known)
        headers = self.signed(identity, body)
        return {401}, self.request([("webhook-id", self.identity()), *headers[1:]], body)

    def make_many_signatures(self):
        body = self.lie()
        headers = self.signed(self.identity(), body)
        return {401}, self.request([*headers[:2], ("webhook-signature", " ".join(["v1,AAAA"] * 16 + [headers[2][1]]))], body)

    def make_without_a_header(self):
        body = self.lie()
        headers = self.signed(self.identity(), body)
        which = self.rng.randrange(3)
        changes = [headers[:which] + headers[which + 1:], headers + [headers[which]], headers[:which] + [(headers[which][0], "")]
                   + headers[which + 1:]]
        return {400}, self.request(self.rng.choice(changes), body)

    def make_oversized(self):
        body = self.lie()[:-1] + b" " * MAX_BODY + b"}"
        return {413}, self.request(self.signed(self.identity(), body), body)

    def make_announced_oversized(self):
        return {400, 413}, self.request(self.signed(self.identity(), b"{}"), b"", length=self.rng.choice([10 ** 9, 2 ** 62, 2 ** 64, 10 ** 25]))

    def make_other_path(self):
        body = self.lie()
        path = self.rng.choice(["/v1/billing/nobody", "/v1/billing/", "/v1/billing/../billing/x", "/v1/billing/%00", "/" + "a" * 2000])
        return {404, 400}, self.request(self.signed(self.identity(), body), body, path=path)

    def make_other_method(self):
        body = self.lie()
        return {405, 501}, self.request(self.signed(self.identity(), body), body, method=self.rng.choice(["PUT", "DELETE", "PATCH"]))

    def make_long_header(self):
        body = self.lie()
        return {400, 401, 413, 431}, self.request([("webhook-id", "a" * 20_000), *self.signed("x", body)[1:]], body)

    def make_noise(self):
        return {400}, self.rng.randbytes(self.rng.randint(8, 200)) + b"\r\n\r\n"

    def make(self, count):
        """(kind, allowed, bytes) of so many, kinds in turn."""
        return [(kind, *getattr(self, f"make_{kind}")()) for kind in (self.kinds[n % len(self.kinds)] for n in range(count))]


async def read_status(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(None, 2)[1])
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return status, b"connection: close" in head.lower()


async def tell(address, lies, counts, wrong):
    """One connection, opened again when the server has had enough of it."""
    host, port = address.rsplit(":", 1)
    reader = writer = None
    for kind, allowed, data in lies:
        if writer is None:
            reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(data)
            status, is_over = await asyncio.wait_for(read_status(reader), 0.5 if kind == "noise" else 20)
            is_over |= kind == "announced_oversized"  # what comes next would be its body
        except (ConnectionError, asyncio.IncompleteReadError):
            status, is_over = 0, True  # hung up on: as good a refusal as any
        except TimeoutError:
            if kind != "noise":  # which may be the beginning of something
                raise
            status, is_over = 0, True
        if status and status not in allowed | {503}:
            wrong.append((kind, status, data[:300]))
        counts[kind, status] += 1
        if is_over:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


async def dawdle(address, data, is_over, counts):
    """A body that never comes to its end, a byte at a time; again when it is cut off."""
    host, port = address.rsplit(":", 1)
    while not is_over.is_set():
        try:
            _reader, writer = await asyncio.open_connection(host, int(port))
            for at in range(len(data) - 1):
                if is_over.is_set():
                    break
                writer.write(data[at:at + 1])
                await writer.drain()
                await asyncio.sleep(0.05)
            writer.close()
        except ConnectionError:
            pass
        counts["slow", 0] += 1


async def attack(address, lies, total, connections):
    """Sends so many lies; {"rate", "counts", "wrong"}."""
    counts, wrong, is_over = collections.Counter(), [], asyncio.Event()
    made = lies.make(min(total, N_TEMPLATES))
    shares = [[made[(first + n) % len(made)] for n in range(0, total - first, connections)] for first in range(connections)]
    slow = [asyncio.create_task(dawdle(address, lies.make_forged()[1], is_over, counts)) for _ in range(N_SLOW)]
    began = time.monotonic()
    await asyncio.gather(*(tell(address, share, counts, wrong) for share in shares))
    took_s = time.monotonic() - began
    is_over.set()
    await asyncio.gather(*slow)
    by_kind = collections.defaultdict(dict)
    for (kind, status), n in sorted(counts.items()):
        by_kind[kind][status] = n
    return {"sent": total, "rate": total / took_s, "seconds": took_s, "counts": dict(by_kind), "wrong": wrong[:20]}


def digest_tables(book, tables):
    """{table: digest of all its rows}: what must not change."""
    return {table: hashlib.sha256(json.dumps(
        [[value.hex() if isinstance(value, bytes) else value for value in row]
         for row in book.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]).encode()).hexdigest() for table in tables}
