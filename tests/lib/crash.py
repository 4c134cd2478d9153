"""A market whose server dies at a named point, and what must be true when all has come to rest after it."""

import json
import uuid

from lib.host import split_address
from lib.market import Customer, Shop
from lib.process import Process, program, wait_until


class CrashingShop(Shop):
    """Its server dies at the point that arm() names, and is then revived as an ordinary one."""

    def start(self):
        super().start()
        self.pressed = set()  # orders whose charging page somebody has been through
        self.host.groups["http"]["listen"] = self.host.addresses["http"]  # the provider keeps calling the same address
        self.host.write_config()
        self.plugin("never", source="plugin-server", base=self.vendor.base)
        self.vendor.refused.add("never")
        self.fill("dice", [f"SPARE-{number}" for number in range(400)])
        return self

    def arm(self, point):
        """Restarts the server so that it dies at the point; returns when it listens, or is dead already."""
        if self.host.process is not None:
            self.host.stop()
        path = self.host.data / "addresses.json"
        path.unlink(missing_ok=True)
        self.host.process = Process([program("host-server-crashing"), "--config", self.host.config_path],
                                    self.host.folder / "output", env={"STOA_CRASH_AT": point})
        wait_until(lambda: path.exists() or not self.host.process.is_running(), what="the armed server")
        if path.exists():
            self.host.addresses = wait_until(lambda: json.loads(path.read_text() or "null"), what="its addresses")
            self.host.address = split_address(self.host.addresses["xmpp"])

    def wait_dead(self):
        status = wait_until(lambda: self.host.process.popen.poll(), timeout=30, what="the crash")
        assert status == -9, status

    def revive(self):
        self.host.process = None
        self.host.start()

    def refund_at_provider(self, order):
        """All the money of an order is given back by a person at the provider."""
        [payment] = self.checkout(order)["payments"]
        if payment["refunds"]:
            return
        body = {"payment": payment["payment"], "amount": payment["amount"], "currency": "EUR", "reason": "asked for"}
        status, answer = self.stub.call("POST", "/v1/refunds", body, key=str(uuid.uuid4()))
        assert status == 201, answer


def assert_settled(shop, name, order, plugin):
    """One payment, one serial, nothing owed to anybody. Returns the serial."""
    shown = shop.wait_order(order, "fulfilled")
    assert [row["kind"] for row in shown["ledger"]] == ["payment"] and shown["refunds"] == []
    [issue] = shown["issue"]
    assert issue["state"] == "issued"
    [known] = [row for row in shop.host.hostctl_json("order", "list") if row["user"].startswith(name + "@")]
    assert known["order"] == order
    checkout = shop.checkout(order)
    assert checkout["status"] == "paid" and len(checkout["payments"]) == 1
    assert checkout["payments"][0]["refunds"] == []
    customer = Customer(shop, name)
    [(found, (state, serial, epoch))] = customer.serials().items()
    assert (found, state, epoch) == (plugin, "active", 1) and serial
    customer.close()
    [row] = shop.host.hostctl_json("serial", "list", name)
    assert row["state"] == "active"
    if plugin == "quotes":
        assert [request for request, value in shop.vendor.issued.items() if value == serial]
        assert len(set(shop.vendor.issued.values())) == len(shop.vendor.issued)
    return serial


def assert_revoked(shop, name, order, plugin):
    """The money is back, once, and what it bought is gone."""
    shown = shop.wait_order(order, "refunded")
    assert [row["kind"] for row in shown["ledger"]] == ["payment", "refund"]
    [payment] = shop.checkout(order)["payments"]
    assert [(row["amount"], row["status"]) for row in payment["refunds"]] == [(500, "done")]
    customer = Customer(shop, name)
    [(state, serial, epoch)] = customer.serials().values()
    assert (state, serial, epoch) == ("revoked", None, 2)
    customer.close()
    if plugin == "quotes":
        newest = list(shop.vendor.issued)[-1]
        wait_until(lambda: newest in shop.vendor.voided, what="the vendor told")
