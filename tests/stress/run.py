"""The run: parties brought up, shoppers set loose, the server killed again and again, the books read after each death."""

import asyncio
import os
import random
import time

from lib.billing import MERCHANT, SECRET, Stub
from lib.billing import KEY
from lib.host import Host, key_file
from lib.process import BUILD
from stress import books
from stress.client import Gone, Session
from stress.parties import ApiRoad, CallbackRoad, Vendor
from stress.shopper import Shopper, Witness

SOURCES = ("keygen", "plugin-server", "pool")
UNLIMITED = ["streams_per_address", "stanzas_per_s", "bytes_per_s", "bytes_per_s_before_login", "registrations_per_hour",
             "http_connections_per_address", "open_orders_per_user", "orders_per_user_per_day"]
MAX_STEPS, MAX_LIFE_S = 100, 3  # between two kills
MARKET = {"poll_s": "0.2,0.4,0.8", "keygen_retry_s": "0,0.1,0.2", "vendor_timeout_s": "1", "sweep_s": "0.3",
          "refund_retry_s": "0,0.1,0.2,0.4,0.8,0.8,0.8,0.8,0.8,0.8,0.8,0.8,0.8,0.8,0.8,0.8", "unmatched_retry_s": "0.1,0.3,0.5",
          "unmatched_alarm_s": "5", "lease_margin_s": "0.5", "expiry_grace_s": "0.2", "order_expiry_s": "4"}


class Run:
    def __init__(self, folder, *, kills, seed, clients=8, plugins_per_source=8, has_disputes=True, say=print):
        self.folder, self.kills, self.seed, self.say = folder, kills, seed, say
        self.n_clients, self.has_disputes = clients, has_disputes
        self.rng = random.Random(seed)
        self.domain, self.users, self.tokens = "stoa.test", [], {}
        self.plugins = [f"{source}{number}" for source in SOURCES for number in range(plugins_per_source)] + ["scarce"]
        self.witness, self.is_closing = Witness(), False
        self.up = asyncio.Event()
        self.violations, self.done, self.steps = [], 0, 0
        self.stub = self.host = None
        self.roads = []

    def fork(self, name):
        """A random number generator of its own for each party, so that one does not depend on another's pace."""
        return random.Random(f"{self.seed} {name}")

    @property
    def database(self):
        return self.host.data / "market.db"

    # --- bringing up

    async def bring_up(self):
        self.stub = Stub(self.folder, "--retry-factor", "0.0005", "--fault", "renumber:1", "--fault", "reorder:60", "--fault",
                         "pending-refund:200", "--fault", "late")
        await asyncio.to_thread(self.stub.start)
        self.stub_address = self.stub.address
        self.callbacks = CallbackRoad(self.fork("callbacks"))
        self.api = ApiRoad(self.fork("api"), self.stub.address)
        self.vendor = Vendor(self.fork("vendor"), float(MARKET["vendor_timeout_s"]))
        self.roads = [self.callbacks.server, self.api.server, self.vendor.server]
        for road in self.roads:
            await road.start()
        modules = {"folder": BUILD / "keygen-modules"}
        if os.geteuid() == 0:
            modules["uid_base"] = 61000 + 64 * int(os.environ.get("STOA_PART", 0))
        self.host = Host(self.folder / "host", self.domain, {
            "xmpp": {"tls": "optional", "direct_tls_listen": None}, "registration": {"open": "true"}, "modules": modules,
            "limits": {name: "0" for name in UNLIMITED}, "market": MARKET,
            "http": {"public_url": f"http://{self.callbacks.server.address}"},
            "billing stub": {"type": "standard", "mode": "live", "merchant": MERCHANT, "base": f"http://{self.api.server.address}",
                             "api_key": KEY, "webhook_secret": SECRET}})
        await asyncio.to_thread(self.host.start)
        await asyncio.to_thread(self.stock)
        self.opened()

    def stock(self):
        self.host.hostctl("vendor", "add", "acme")
        for plugin in self.plugins:
            source = plugin.rstrip("0123456789").replace("scarce", "pool")
            groups = {"Plugin": {"id": plugin, "name": plugin, "vendor": "acme", "version": "1", "price": 500, "currency": "EUR"},
                      "Serial": {"source": source, "module": "libweather-keygen.so" if source == "keygen" else None}}
            if source == "plugin-server":
                groups["PluginServer"] = {"base": f"http://{self.vendor.server.address}"}
            path = self.folder / "manifest"
            path.write_text(key_file(groups))
            self.host.hostctl("plugin", "add", path)
            if source == "pool":
                n_keys = 10 if plugin == "scarce" else 200 + 2 * self.kills
                for first in range(0, n_keys, 1000):
                    path.write_text("".join(f"{plugin}-KEY-{number}\n" for number in range(first, min(first + 1000, n_keys))))
                    self.host.hostctl("pool", "import", plugin, path)

    def opened(self):
        self.xmpp_address = self.host.address
        self.callbacks.target = self.host.addresses["http"]
        self.up.set()

    async def wait_up(self):
        await self.up.wait()

    # --- killing

    async def restart(self):
        """Dead, audited, alive again. One start in eight is not survived either."""
        self.up.clear()
        self.host.kill()
        self.check()
        while self.rng.random() < 0.125 and self.done < self.kills:
            self.host.spawn()
            await asyncio.sleep(self.rng.uniform(0.001, 0.03))
            self.host.kill()
            self.done += 1
            self.check()
        await asyncio.to_thread(self.host.start)
        self.opened()

    def check(self):
        found = books.audit(self.database) + self.witness.violations
        self.witness.violations = []
        if found:
            self.violations += found
            for line in found[:20]:
                self.say(f"after {self.done} kills: {line}")

    async def live(self):
        """So many steps of anybody, however fast the machine is, and a moment more."""
        end = self.steps + self.callbacks.steps + self.rng.randint(0, MAX_STEPS)
        latest = time.monotonic() + MAX_LIFE_S
        while self.steps + self.callbacks.steps < end and time.monotonic() < latest:
            await asyncio.sleep(0.005)
        await asyncio.sleep(self.rng.uniform(0, 0.04))

    async def kill_all_along(self):
        while self.done < self.kills:
            await self.live()
            self.done += 1
            await self.restart()
            if self.done % 100 == 0:
                self.say(f"{self.done} kills, {books.summarize(self.database)['orders']} orders, {len(self.violations)} violations")

    # --- coming to rest

    async def settle(self, limit_s=300):
        """The roads are good again; the provider repeats what was not answered, in its own time."""
        began = time.monotonic()
        for party in (self.callbacks, self.api, self.vendor):
            party.is_calm = True
        while True:
            left = await asyncio.to_thread(books.find_untold, self.folder / "ledger" / "ledger.db")
            await self.callbacks.settle()
            left |= await asyncio.to_thread(books.find_open, self.database)
            if not left:
                break
            if time.monotonic() - began > limit_s:
                self.violations.append(f"not at rest after {limit_s} s: {left}")
                break
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def visit(self, user, expected):
        """The user logs in and is shown what the books say, no more and no less."""
        session = await Session(self.domain, lambda _element: None).open(self.host.address, user, is_new=False)
        [element] = await session.ask("get", "<serials xmlns='urn:stoa:serials:1'/>")
        session.close()
        self.witness.see(user, element)
        shown = {one.get("id"): (one.get("state"), int(one.get("epoch"))) for one in element}
        wanted = {plugin: (state, epoch) for plugin, (state, epoch, _source, _request) in expected.items()}
        if shown != wanted:
            self.violations.append(f"{user} is shown {shown} where the books say {wanted}")
        for one in element:
            serial = one.findtext("{urn:stoa:serials:1}serial")
            state, _epoch, source, request = expected[one.get("id")]
            if (serial is not None) != (state == "active"):
                self.violations.append(f"{user}'s {one.get('id')} is {state} and its serial is {'there' if serial else 'missing'}")
            if serial and source == "plugin-server" and self.vendor.issued.get(request) != serial:
                self.violations.append(f"{user}'s serial of {one.get('id')} is not the one the vendor issued for {request}")
            if serial and source == "pool" and not serial.startswith(f"{one.get('id')}-KEY-"):
                self.violations.append(f"{user}'s serial of {one.get('id')} is none of its pool")

    async def compare(self):
        self.violations += books.audit(self.database)
        self.violations += books.compare_with_provider(self.database, self.folder / "ledger" / "ledger.db")
        self.violations += books.compare_with_vendor(self.database, self.vendor)
        held = books.entitlements(self.database)
        for user in self.users:
            try:
                await self.visit(user, held.get(user, {}))
            except Gone as error:
                self.violations.append(f"{user} cannot log in: {error}")
        self.violations += self.witness.violations

    async def play(self):
        """The figures; `violations` among them is to be empty."""
        began = time.monotonic()
        try:
            await self.bring_up()
            shoppers = [asyncio.create_task(Shopper(self, number, self.fork(f"shopper {number}")).shop())
                        for number in range(self.n_clients)]
            killer = asyncio.create_task(self.kill_all_along())
            done, _ = await asyncio.wait([killer, *shoppers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a shopper ends by a fault only
            self.is_closing = True
            await asyncio.gather(*shoppers)
            killed_s = time.monotonic() - began
            settled_s = await self.settle()
            await self.compare()
            return {"seed": self.seed, "kills": self.done, **books.summarize(self.database), "users": len(self.users),
                    "errands": dict(self.witness.counts), "callbacks": dict(self.callbacks.counts), "api": dict(self.api.counts),
                    "vendor": dict(self.vendor.counts), "killing_s": round(killed_s, 1),
                    "settled_after_last_kill_s": round(settled_s, 1), "violations": self.violations}
        finally:
            await self.shut_down()

    async def shut_down(self):
        if self.host is not None and self.host.process is not None and self.host.process.is_running():
            await asyncio.to_thread(self.host.stop)
        for road in self.roads:
            road.close()
        if self.stub is not None and self.stub.process is not None:
            await asyncio.to_thread(self.stub.stop)
