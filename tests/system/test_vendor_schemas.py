"""What passes between host, vendor and plugin is what docs/schemas says of it: real traffic, and no field that is not
documented."""

import json
import subprocess

import jsonschema
import pytest

from lib.market import SERIALS, Shop
from lib.process import ROOT, program, wait_until
from lib.recorder import Recorder
from lib.vendor import PluginServer, SameAnswer

SCHEMAS = {path.stem.removeprefix("plugin-server-"): json.loads(path.read_text())
           for path in sorted((ROOT / "docs/schemas").glob("plugin-server-*.json"))}


def is_valid(name, body):
    return jsonschema.Draft202012Validator(SCHEMAS[name]).is_valid(body)


def validate(name, data):
    """Valid, and with no field that the schema does not know."""
    body = json.loads(data)
    jsonschema.Draft202012Validator(SCHEMAS[name]).validate(body)
    assert body.keys() <= SCHEMAS[name]["properties"].keys(), (name, body)
    return name


def validate_exchange(exchange):
    """The schemas that one exchange was held against."""
    held = set()
    if exchange.body:
        held.add(validate("issue" if exchange.path == "/v1/serials" else "token", exchange.body))
    if exchange.status in (200, 201) and exchange.path.startswith("/v1/serials") and exchange.method != "DELETE":
        held.add(validate("serial", exchange.answer))
    elif exchange.status >= 400:
        held.add(validate("error", exchange.answer))
    else:
        assert exchange.status == 204 and exchange.answer == b"" and exchange.method in ("DELETE", "PUT")
    return held


@pytest.fixture
def shop(tmp_path, started):
    return started(Shop(tmp_path / "shop"))


@pytest.fixture
def recorded(tmp_path):
    """Makes a sample server behind a recorder."""
    made = []

    def start(plugin, *arguments, **options):
        server = PluginServer(tmp_path, plugin, *arguments, **options).start()
        recorder = Recorder(lambda: server.address)
        made.append((server, recorder))
        return server, recorder
    yield start
    for server, recorder in made:
        recorder.close()
        server.stop()


def test_schemas_are_schemas():
    assert SCHEMAS.keys() == {"issue", "serial", "error", "token", "session-request", "session"}
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("term", [None, "P1M"])
def test_traffic_of_purchases_is_documented(shop, recorded, term):
    """Issued, looked up after a lost answer, replaced, voided after a refund, refused."""
    server, recorder = recorded("chess", "--fault", "lost:1", secret=shop.vendor_secret)
    shop.plugin("chess", source="plugin-server", base=recorder.base, term=term)
    alice, bob = shop.customer(), shop.customer()
    try:
        alice.serials()
        order, _bought = alice.purchase("chess")
        alice.ask("set", f"<rejected xmlns='{SERIALS}' plugin='chess' reason='bad'/>")
        payment = shop.checkout(order)["payments"][0]["payment"]
        wait_until(lambda: len(server.requests()) == 2, what="the replacement")
        shop.callback(shop.event(order, "payment.refunded", payment=payment, refund=f"re_{order}"))
        wait_until(lambda: all(is_void for _serial, is_void in server.requests().values()), what="the voids")
        server.restart_with("--fault", "refuse")
        refused = bob.buy("chess")
        bob.press(refused)
        shop.wait_order(refused.get("id"), "refunded")
    finally:
        alice.close()
        bob.close()
    held = [validate_exchange(exchange) for exchange in recorder.exchanges]
    assert set().union(*held) == {"issue", "serial", "error"}
    assert {exchange.method for exchange in recorder.exchanges} == {"POST", "GET", "DELETE"}
    names = [json.loads(exchange.body)["user"] for exchange in recorder.exchanges if exchange.body]
    assert len(set(names)) == 2 and ("term" in json.loads(recorder.exchanges[0].body)) == (term is not None)


def test_traffic_of_the_check_is_documented(recorded, tmp_path):
    server, recorder = recorded("chess")
    done = subprocess.run([program("hostctl"), "vendor", "check", recorder.base, "--plugin", "chess", "--term", "P1Y"],
                          input=f"{server.secret}\n", text=True, capture_output=True, timeout=50)
    assert done.returncode == 0, done.stdout
    malformed = (b'{"request":', b"[]", b"{}")
    bad = [exchange for exchange in recorder.exchanges if exchange.body in malformed]
    held = [validate_exchange(exchange) for exchange in recorder.exchanges if exchange not in bad]
    assert set().union(*held) == {"issue", "serial", "error", "token"}
    assert len(bad) == 3 and all(validate("error", exchange.answer) for exchange in bad)


def test_sessions_of_the_sample_server_are_documented(recorded):
    server, _recorder = recorded("chess")
    issued = server.issue(user="abcdefghijklmnopqrstuvwxyz")[1]
    body = json.dumps({"serial": issued["serial"], "user": "abcdefghijklmnopqrstuvwxyz"})
    validate("session-request", body)
    status, answer = server.request("POST", "/v1/session", body)
    assert status == 200 and validate("session", answer)
    status, answer = server.request("POST", "/v1/session", '{"serial":"AAAA"}')
    assert status == 401 and validate("error", answer)


@pytest.mark.parametrize("name, body, good", [
    ("issue", {"request": "l_06.0", "plugin": "chess", "user": "a" * 26}, True),
    ("issue", {"request": "l_06.0", "plugin": "chess", "user": "a" * 26, "term": "P1Y"}, True),
    ("issue", {"request": "l_06.0", "plugin": "chess", "user": "a" * 26, "term": "P"}, False),
    ("issue", {"request": "l_06.0", "plugin": "chess", "user": "a" * 26, "term": "P1Y2M"}, False),
    ("issue", {"request": "l_06.0", "plugin": "chess", "user": "alice@example.org"}, False),
    ("issue", {"request": "a/b", "plugin": "chess", "user": "a" * 26}, False),
    ("issue", {"request": "l_06.0", "plugin": "Chess", "user": "a" * 26}, False),
    ("serial", {"serial": "A"}, True), ("serial", {"serial": "A B\nC", "expires": None}, True),
    ("serial", {"serial": "A", "expires": "2027-01-01T00:00:00Z"}, True),
    ("serial", {"serial": "A", "expires": "2027-01-01T01:00:00.5+01:00"}, True),
    ("serial", {"serial": "A", "expires": "2027-01-01"}, False), ("serial", {"serial": "A", "expires": 1}, False),
    ("serial", {"serial": ""}, False), ("serial", {"serial": " A"}, False), ("serial", {"serial": "A\n"}, False),
    ("serial", {"serial": "A\tB"}, False), ("serial", {"serial": "é"}, False), ("serial", {"serial": "A" * 4096}, True),
    ("serial", {"serial": "A" * 4097}, False), ("serial", {}, False), ("serial", ["A"], False),
    ("error", {"error": "sold out"}, True), ("error", {"error": 4}, False), ("error", {}, False),
    ("token", {"token": "ey", "plugin": "chess", "user": "a" * 26, "expires": "2027-01-01T00:00:00Z"}, True),
    ("token", {"token": "", "plugin": "chess", "user": "a" * 26, "expires": "2027-01-01T00:00:00Z"}, False),
    ("token", {"token": "ey", "plugin": "chess", "user": "a" * 26}, False)])
def test_schema_tells_good_from_bad(name, body, good):
    assert is_valid(name, body) == good


@pytest.mark.parametrize("serial, good", [("A", True), ("A B\nC", True), ("~" * 4096, True), ("", False), (" A", False),
                                          ("A ", False), ("A\n", False), ("A\tB", False), ("A\u007f", False), ("é", False)])
def test_schema_and_host_agree_on_what_a_serial_is(serial, good):
    """The check is the host's own judgement."""
    assert is_valid("serial", {"serial": serial}) == good
    server = SameAnswer(201, json.dumps({"serial": serial}).encode())
    try:
        done = subprocess.run([program("hostctl"), "vendor", "check", server.base, "--plugin", "chess", "--json"],
                              input="whsec_" + "QUFB" * 8 + "\n", text=True, capture_output=True, timeout=50)
        rows = {row["check"]: row["result"] for row in map(json.loads, done.stdout.splitlines())}
        assert rows["serial"] == ("pass" if good else "fail")
    finally:
        server.close()
