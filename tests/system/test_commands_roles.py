"""Commands of vendors and administrators, and who may use them."""

import pytest

from lib.commands import Commander, INFO, submit
from lib.market import Shop
from lib.process import wait_until

USER = ["catalog", "buy", "my-plugins", "orders", "decline"]
VENDOR = ["plugins", "plugin-add", "plugin-retire", "pools", "pool-import", "sales"]
ADMINISTRATOR = ["user-orders", "serial-revoke", "order-resolve"]


def manifest(name="radar", **changes):
    values = {"vendor": "acme", "source": "pool", "price": "250", "version": "1.0", **changes}
    more = f"module={values['module']}\n" if "module" in values else ""
    base = f"[PluginServer]\nbase={values['base']}\n" if "base" in values else ""
    return (f"[Plugin]\nid={name}\nname={name.capitalize()}\nvendor={values['vendor']}\nversion={values['version']}\n"
            f"price={values['price']}\ncurrency=EUR\n[Serial]\nsource={values['source']}\n{more}{base}").splitlines()


class Shops(Shop):
    """A market with two vendors, and people of every role."""

    def start(self):
        super().start()
        self.host.hostctl("vendor", "add", "globex")
        self.people = {}
        for name, roles in (("root", [("administrator",)]), ("wile", [("vendor", "acme")]),
                            ("hank", [("vendor", "globex")]), ("both", [("vendor", "acme"), ("vendor", "globex")]),
                            ("plain", [])):
            self.host.add_user(name)
            for role in roles:
                self.host.hostctl("role", "add", f"{name}@{self.host.domain}", *role)
            self.people[name] = Commander(self.host.login(name), self.host.domain)
        return self

    def stop(self):
        for person in self.people.values():
            person.client.close()
        super().stop()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shops(tmp_path_factory.mktemp("shop"))
    one.start()
    yield one
    one.stop()


@pytest.fixture
def root(shop):
    return shop.people["root"]


@pytest.fixture
def wile(shop):
    return shop.people["wile"]


@pytest.fixture
def hank(shop):
    return shop.people["hank"]


def test_each_sees_and_may_use_the_commands_of_its_roles(shop, root, wile, hank):
    plain = shop.people["plain"]
    assert plain.nodes() == USER
    assert wile.nodes() == hank.nodes() == USER + VENDOR
    assert root.nodes() == USER + VENDOR + ADMINISTRATOR
    for node in VENDOR + ADMINISTRATOR:
        assert plain.send(node).error()[0] == "forbidden"
        assert plain.disco(INFO, node).get("type") == "error"
    for node in ADMINISTRATOR:
        assert wile.send(node).error()[0] == "forbidden"


def test_roles_are_given_listed_and_taken_away(shop):
    def listed():
        return [(row["user"], row["role"], row["vendor"]) for row in shop.host.hostctl_json("role", "list")]
    shop.host.add_user("temp")
    temp = Commander(shop.host.login("temp"), shop.host.domain)
    shop.host.hostctl("role", "add", "temp", "vendor", "acme")
    shop.host.hostctl("role", "add", "temp@stoa.test", "vendor", "acme")  # as it is already
    assert ("temp@stoa.test", "vendor", "acme") in listed() and ("root@stoa.test", "administrator", None) in listed()
    first = temp.send("plugin-retire")
    assert first.status == "executing"
    shop.host.hostctl("role", "remove", "temp@stoa.test", "vendor", "acme")
    assert temp.send("plugin-retire", first.session, None, submit({"plugin": "dice"})).error()[0] == "forbidden"
    assert temp.nodes() == USER
    for words in (("remove", "temp", "vendor", "acme"), ("add", "nobody", "administrator"), ("add", "temp", "king"),
                  ("add", "temp", "vendor"), ("add", "temp", "vendor", "initech"), ("add", "temp", "administrator", "acme"),
                  ("add", "temp@elsewhere.test", "administrator")):
        assert shop.host.hostctl("role", *words, check=False).returncode == 1, words
    shop.host.hostctl("role", "add", "temp", "administrator")
    shop.host.hostctl("user", "remove", "temp@stoa.test")
    assert "temp@stoa.test" not in [user for user, _role, _vendor in listed()]
    shop.host.add_user("temp")
    again = Commander(shop.host.login("temp"), shop.host.domain)
    assert again.nodes() == USER  # another user of the same name
    for one in (temp, again):
        one.client.close()


def test_a_vendor_sees_its_own_plugins_pools_and_sales(shop, root, wile, hank):
    customer = shop.customer()
    customer.serials()
    order, _serial = customer.purchase("dice")
    customer.buy("weather")
    mine = {row["id"]: row for row in wile.run("plugins").rows()}
    assert mine.keys() >= {"weather", "quotes", "dice"}
    assert (mine["dice"]["Sold"], mine["dice"]["Income"], mine["dice"]["State"]) == ("1", "5.00 EUR", "on sale")
    assert (mine["weather"]["Sold"], mine["weather"]["Open orders"], mine["weather"]["Income"]) == ("0", "1", "0")
    assert [row["id"] for row in hank.run("plugins").rows()] == []
    [pool] = wile.run("pools").rows()
    assert (pool["id"], pool["Free"], pool["Delivered"]) == ("dice", "39", "1")
    assert hank.run("pools").rows() == [] and hank.run("sales").rows() == []
    sales = wile.run("sales").rows()
    assert [(row["Plugin"], row["State"]) for row in sales[:2]] == [("weather", "awaiting-payment"), ("dice", "fulfilled")]
    assert sales[1]["id"] == order
    assert len(sales[1]["User"]) == 26 and "@" not in sales[1]["User"] and customer.name not in sales[1]["User"]
    assert sales[0]["User"] == sales[1]["User"]  # the vendor's name for one user
    assert root.run("sales").rows() == sales
    [entry] = customer.ask("get", "<serials xmlns='urn:stoa:serials:1'/>")[0]
    assert entry.get("user") == sales[1]["User"]
    customer.close()


def test_a_vendor_puts_a_plugin_on_sale_fills_its_pool_and_retires_it(shop, wile, hank):
    done = wile.run("plugin-add", {"manifest": manifest()})
    assert done.status == "completed" and done.notes == [("info", "Radar 1.0 is on sale.")]
    keys = {"plugin": "radar", "keys": ["R-1", "R-2", "", "R-3"]}
    assert wile.run("pool-import", {**keys, "dry-run": True}).notes == [("info", "3 keys would be added, 0 were known.")]
    assert wile.run("pool-import", keys).notes == [("info", "3 keys were added, 0 were known.")]
    assert wile.run("pool-import", keys).notes == [("info", "0 keys were added, 3 were known.")]
    bad = wile.run("pool-import", {"plugin": "radar", "keys": ["R-4", "R-4", "R-\u00e9"]})
    assert bad.status == "executing" and "line 2: a duplicate" in bad.said("error") and "line 3:" in bad.said("error")
    better = wile.send("pool-import", bad.session, "complete", submit({"plugin": "radar", "keys": ["R-4"]}))
    assert better.notes == [("info", "1 keys were added, 0 were known.")]
    customer = shop.customer()
    customer.serials()
    _order, serial = customer.purchase("radar")
    assert serial[:2] == ("active", "R-1")
    customer.close()
    assert hank.run("plugin-add", {"manifest": manifest()}).said("error") == "Nothing was changed: you do not act for its vendor."
    assert wile.run("plugin-add", {"manifest": manifest(version="2.0", price="0")}).said("info") == "Radar 2.0 is on sale."
    first = wile.send("plugin-retire")
    assert wile.send("plugin-retire", first.session, None, submit({"plugin": "radar"})).said("info") == "It is sold no more."
    assert "radar" not in wile.send("plugin-retire").options("plugin")
    assert {row["id"]: row["State"] for row in wile.run("plugins").rows()}["radar"] == "retired"


def test_a_bad_manifest_is_explained_and_can_be_written_again(wile):
    bad = wile.run("plugin-add", {"manifest": ["[Plugin]", "id=Radar!"]})
    assert bad.status == "executing" and "[Plugin] id: must match" in bad.said("error")
    assert bad.value("manifest") == "[Plugin]"  # what was written is still there
    good = wile.send("plugin-add", bad.session, bad.execute, submit({"manifest": manifest("echo")}))
    assert good.status == "completed" and good.said("info")
    assert wile.run("plugin-retire", {"plugin": "echo"}).said("info")
    long = wile.send("plugin-add")
    refused = wile.send("plugin-add", long.session, None, submit({"manifest": ["# " + "x" * 4000] * 5}))
    assert refused.error()[1:] == ("bad-payload", "Manifest (manifest): is longer than 16384 bytes")


@pytest.mark.parametrize("changes, problem", [
    ({"vendor": "globex"}, "you do not act for its vendor"),
    ({"vendor": "initech"}, "you do not act for its vendor"),
    ({"source": "keygen", "module": "libother-keygen.so"}, "a keygen that is new here"),
    ({"source": "plugin-server", "base": "http://127.0.0.1:1/"}, "inside the operator's network"),
    ({"source": "plugin-server", "base": "https://10.1.2.3/"}, "inside the operator's network"),
    ({"source": "plugin-server", "base": "https://[::1]/"}, "inside the operator's network"),
    ({"source": "plugin-server", "base": "https://intranet/"}, "inside the operator's network"),
])
def test_a_member_does_not_reach_beyond_its_vendor(shop, wile, changes, problem):
    answer = wile.run("plugin-add", {"manifest": manifest("reach", **changes)})
    assert answer.status == "executing" and problem in answer.said("error")
    assert "reach" not in [row["plugin"] for row in shop.host.hostctl_json("plugin", "list")]


def test_a_member_uses_what_the_operator_has_set_up(shop, wile):
    """A keygen that one of the vendor's plugins has, and an administrator's word for a new one."""
    more = wile.run("plugin-add", {"manifest": manifest("cloud", source="keygen", module="libweather-keygen.so")})
    assert more.said("info") == "Cloud 1.0 is on sale."
    assert wile.run("plugin-retire", {"plugin": "cloud"}).said("info")
    root = shop.people["root"]
    assert root.run("plugin-add", {"manifest": manifest("storm", vendor="globex", source="keygen",
                                                        module="libother-keygen.so")}).said("info")
    assert root.run("plugin-add", {"manifest": manifest("storm2", vendor="initech")}).said("error") == \
        "Nothing was changed: there is no vendor 'initech'; `vendor add initech` first."
    assert "storm" in [row["id"] for row in shop.people["both"].run("plugins").rows()]
    assert root.run("plugin-retire", {"plugin": "storm"}).said("info")


def test_functions_are_the_operators_to_set_up_and_a_members_manifest_may_keep_them(shop, wile, root):
    functions = ["[Functions]", "user_data=64K"]
    refused = wile.run("plugin-add", {"manifest": manifest("mist") + functions})
    assert "[Functions]: what runs on the host is the operator's to set up" in refused.said("error")
    assert "mist" not in [row["plugin"] for row in shop.host.hostctl_json("plugin", "list")]
    assert root.run("plugin-add", {"manifest": manifest("mist") + functions}).said("info")
    assert wile.run("plugin-add", {"manifest": manifest("mist", version="2.0") + functions}).said("info") == "Mist 2.0 is on sale."
    assert "operator's" in wile.run("plugin-add", {"manifest": manifest("mist")}).said("error")
    assert [row["application"] for row in shop.host.hostctl_json("function", "list")] == ["mist"]
    assert root.run("plugin-retire", {"plugin": "mist"}).said("info")


def test_a_stranger_to_the_plugin_cannot_touch_it(shop, hank):
    """The list of choices is the vendor's own; another's plugin is not among them."""
    shop.people["root"].run("plugin-add", {"manifest": manifest("comet", vendor="globex")})
    for node, more in (("plugin-retire", {}), ("pool-import", {"keys": ["X"]})):
        first = hank.send(node)
        assert first.options("plugin") and "dice" not in first.options("plugin")
        answer = hank.send(node, first.session, None, submit({"plugin": "dice", **more}))
        assert answer.error()[:2] == ("bad-request", "bad-payload")


def test_an_administrator_looks_after_users(shop, root):
    customer = shop.customer()
    customer.serials()
    order, _serial = customer.purchase("weather")
    user = f"{customer.name}@{shop.host.domain}"
    [row] = root.run("user-orders", {"user": user}).rows()
    assert (row["id"], row["User"], row["State"]) == (order, user, "fulfilled")
    missing = root.run("user-orders", {"user": "nobody@stoa.test"})
    assert missing.status == "executing" and missing.said("error") == "There is no user 'nobody@stoa.test'."
    assert root.send("user-orders", missing.session, None, submit({"user": customer.name.upper() + "@STOA.test"})).rows()
    assert root.run("serial-revoke", {"user": user, "plugin": "dice"}).said("error") == \
        "The user has no serial of it to revoke."
    assert root.run("serial-revoke", {"user": user, "plugin": "weather"}).said("info") == "It is revoked."
    customer.push_of("serials")
    assert customer.serials()["weather"][:2] == ("revoked", None)
    customer.close()


def test_an_administrator_resolves_a_review(shop, root):
    """A refund that the provider refuses leads to review; the administrator closes it."""
    assert root.run("order-resolve").said("info") == "No order waits for a person."
    customer = shop.customer()
    customer.serials()
    order = customer.buy("weather").get("id")
    customer.decline(order)
    assert shop.callback(shop.event(order)) == 200  # money after the end, of a payment that the provider does not know
    shop.wait_order(order, "review")
    first = root.send("order-resolve")
    assert first.options("order") == [order] and first.options("as") == ["paid", "fulfilled", "refund", "closed"]
    no = root.send("order-resolve", first.session, None, submit({"order": order, "as": "fulfilled"}))
    assert no.status == "executing" and no.said("error").startswith("Not resolved: ")
    done = root.send("order-resolve", no.session, None, submit({"order": order, "as": "closed", "note": "by phone"}))
    assert done.said("info") == "It is resolved."
    shown = shop.order(order)
    assert (shown["state"], shown["reason"]) == ("closed", "by phone")
    customer.close()


def test_who_did_what_is_in_the_log(shop, wile):
    wile.run("plugin-add", {"manifest": manifest("trace")})
    wile.run("plugin-retire", {"plugin": "trace"})
    wait_until(lambda: "plugin retired plugin=trace by=" in shop.log(), 10, "the log line")
    assert "plugin put on sale by a member account=" in shop.log()
    assert "R-1" not in shop.log()  # no key
