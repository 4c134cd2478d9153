"""Receipts (docs/receipts.md): a purchase on record that buyer, vendor and provider can each verify with what they know,
by themselves. The verifier here is Python's, so that ours is not its own judge; hostctl's is tested against it."""

import hashlib
import json
import pathlib
import sqlite3
import subprocess
import urllib.request

import jsonschema
import pytest

from lib.client import HostClient
from lib.jose import b64, unb64, verify
from lib.market import MARKET, SERIALS, Shop, read_serials
from lib.process import program, wait_until
from lib.recorder import Recorder
from lib.xmpp import error_condition

TYPE = "stoa-receipt+jwt"
SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "docs/schemas/receipt.json").read_text())
PARTIES = {"buyer": {"serial", "buyer", "buyer_at_vendor"}, "vendor": {"serial", "buyer_at_vendor"},
           "provider": {"buyer_at_provider"}}


@pytest.fixture(scope="module")
def recorder():
    """Stands before the host's callback address."""
    recorder = Recorder(None)
    yield recorder
    recorder.close()


def sent_body(recorder, webhook_id):
    """What the provider sent under that id and the host took."""
    [body] = [one.body for one in recorder.exchanges if one.status == 200 and one.headers["webhook-id"] == webhook_id]
    return body


@pytest.fixture(scope="module")
def shop(tmp_path_factory, recorder):
    shop = Shop(tmp_path_factory.mktemp("shop"))
    try:
        shop.start()
        shop.host.groups["http"]["public_url"] = recorder.base
        shop.host.write_config()
        shop.host.restart()
        recorder.target = lambda: shop.host.addresses["http"]
        yield shop
    finally:
        shop.stop()


def jwks(shop):
    with urllib.request.urlopen(f"http://{shop.host.addresses['http']}/.well-known/jwks.json", timeout=10) as answer:
        return json.load(answer)


def documents(shop, order, *arguments):
    return [json.loads(line) for line in shop.host.hostctl("order", "receipt", order, *arguments).stdout.splitlines()]


def receipt(shop, order, *arguments):
    """(document, claims) of the last receipt, verified with the published keys and against the schema."""
    [document] = documents(shop, order, *arguments)
    jsonschema.validate(document, {"$ref": "#/$defs/document", "$defs": SCHEMA["$defs"]})
    claims = verify(document["receipt"], jwks(shop), TYPE)
    jsonschema.validate(claims, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**claims, "buyer": "in the open"}, SCHEMA)
    return document, claims


def chain(shop, order):
    """The claims of all receipts; each names the one before."""
    found, former = [], None
    for document in documents(shop, order, "--all"):
        claims = verify(document["receipt"], jwks(shop), TYPE)
        jsonschema.validate(claims, SCHEMA)
        assert claims["seq"] == len(found) + 1
        assert claims["supersedes"] == (former and b64(hashlib.sha256(former.encode()).digest()))
        found.append(claims)
        former = document["receipt"]
    return found


def salted(document, claim, value):
    return b64(hashlib.sha256(unb64(document["disclosures"][claim]) + value.encode()).digest())


def delivered(shop, order):
    """Waits until the receipt that is not signed yet knows of the delivery. Asks the store: asking for the receipt would
    sign it."""
    def noted():
        with sqlite3.connect(f"file:{shop.host.data}/market.db?mode=ro", uri=True) as db:
            rows = db.execute("SELECT delivered_us FROM receipt r JOIN purchase_line l ON l.id = r.line"
                              " WHERE l.purchase = ? ORDER BY seq", (order,)).fetchall()
        return rows and rows[-1][0] > 0
    wait_until(noted, what="the delivery noted")


def check(shop, tmp_path, text, *arguments, keys=None, stdin=""):
    """hostctl receipt verify, without a server: (exit code, object, message)."""
    (tmp_path / "receipt.json").write_text(text)
    (tmp_path / "jwks.json").write_text(json.dumps(keys or jwks(shop)))
    run = subprocess.run([program("hostctl"), "--json", "receipt", "verify", tmp_path / "receipt.json", "--jwks",
                          tmp_path / "jwks.json", *map(str, arguments)], input=stdin, capture_output=True, text=True,
                         timeout=30)
    return run.returncode, json.loads(run.stdout) if run.stdout else None, run.stderr


def names_of(customer):
    """What the vendor and the provider call this user."""
    answer = customer.ask("get", f"<serials xmlns='{SERIALS}'/>")
    return answer[0][0].get("user")


# --- what a receipt says


@pytest.mark.parametrize("plugin", ["dice", "weather", "quotes"])
def test_a_fulfilled_order_has_a_receipt_that_another_implementation_verifies(shop, recorder, customer, plugin):
    alice = customer()
    order, (_state, serial, _epoch) = alice.purchase(plugin)
    delivered(shop, order)
    document, claims = receipt(shop, order)
    shown = shop.order(order)
    [payment] = shop.checkout(order)["payments"]
    assert claims["iss"] == recorder.base and claims["jti"] == f"{claims['line']}.1" and claims["seq"] == 1
    assert (claims["order"], claims["plugin"], claims["vendor"]) == (order, plugin, "acme")
    assert (claims["amount"], claims["currency"], claims["provider"]) == (500, "EUR", "stub")
    assert (claims["paid"], claims["refunded"], claims["status"]) == (500, 0, "paid")
    assert claims["reason"] == "fulfilled" and claims["supersedes"] is None
    [entry] = claims["payments"]
    assert (entry["payment"], entry["amount"], entry["by"]) == (payment["payment"], 500, "callback")
    assert entry["webhook_id"] == shown["ledger"][0]["webhook-id"]
    assert salted(document, "serial", serial) == claims["hashes"]["serial"]
    assert salted(document, "buyer", f"{alice.name}@{shop.host.domain}") == claims["hashes"]["buyer"]
    assert claims["delivered"] >= claims["fulfilled"]


def test_the_digest_is_that_of_the_body_the_provider_sent(shop, recorder, customer):
    order, _serial = customer().purchase("dice")
    _document, claims = receipt(shop, order)
    [entry] = claims["payments"]
    body = sent_body(recorder, entry["webhook_id"])
    assert json.loads(body)["data"]["payment"] == entry["payment"]
    assert entry["body_sha256"] == b64(hashlib.sha256(body).digest())


def test_money_that_was_found_by_asking_says_so(tmp_path):
    """Here no callback of the provider's is authentic."""
    shop = Shop(tmp_path / "shop", market={"poll_s": "0.2"}, webhook_secret="whsec_" + "QUFB" * 8)
    try:
        shop.start()
        alice = shop.customer()
        alice.serials()
        order, _serial = alice.purchase("dice")
        _document, claims = receipt(shop, order)
        [entry] = claims["payments"]
        assert entry["by"] == "poll" and "webhook_id" not in entry and "body_sha256" not in entry
        assert claims["iss"] == "https://stoa.test"
        alice.close()
    finally:
        shop.stop()


def test_a_free_plugin_has_a_receipt_without_money(shop, customer):
    shop.plugin("gift", source="keygen", module="libweather-keygen.so", price=0)
    alice = customer()
    order = alice.buy("gift").get("id")
    alice.push_of("serials")
    document, claims = receipt(shop, order)
    assert (claims["amount"], claims["provider"], claims["payments"], claims["status"]) == (0, None, [], "free")
    assert "buyer_at_provider" not in claims["hashes"]
    [empty] = documents(shop, order, "--for", "provider")
    assert empty["disclosures"] == {}


def test_an_order_that_is_not_fulfilled_has_no_receipt(shop, customer):
    alice, bob = customer(), customer()
    order = alice.buy("dice").get("id")
    run = shop.host.hostctl("order", "receipt", order, check=False)
    assert run.returncode == 1 and "no receipt" in run.stderr
    run = shop.host.hostctl("order", "receipt", "o_nothing", check=False)
    assert run.returncode == 1 and "no order" in run.stderr
    refusal = alice.ask("get", f"<receipt xmlns='{MARKET}' order='{order}'/>")
    assert error_condition(refusal) == ("cancel", "item-not-found")
    assert refusal.find(f".//{{{MARKET}}}no-receipt") is not None
    refusal = bob.ask("get", f"<receipt xmlns='{MARKET}' order='{order}'/>")
    assert error_condition(refusal) == ("cancel", "item-not-found")
    assert refusal.find(f".//{{{MARKET}}}no-receipt") is None
    assert error_condition(bob.ask("get", f"<receipt xmlns='{MARKET}'/>"))[1] == "bad-request"
    assert shop.host.hostctl("order", "receipt", order, "--for", "everybody", check=False).returncode == 1


# --- who can verify what


def test_each_party_verifies_its_part_and_learns_nothing_of_the_others(shop, customer):
    alice = customer()
    order, (_state, serial, _epoch) = alice.purchase("quotes")
    at_vendor = [body["user"] for method, _name, body in shop.vendor.requests if method == "POST"][-1]
    assert at_vendor == names_of(alice)
    with sqlite3.connect(f"file:{shop.folder}/ledger/ledger.db?mode=ro", uri=True) as db:
        [(at_provider,)] = db.execute("SELECT buyer FROM checkouts WHERE merchant_order = ?", (order,)).fetchall()
    values = {"serial": serial, "buyer": f"{alice.name}@{shop.host.domain}", "buyer_at_vendor": at_vendor,
              "buyer_at_provider": at_provider}
    jws = set()
    for party, known in PARTIES.items():
        document, claims = receipt(shop, order, "--for", party)
        jws.add(document["receipt"])
        assert set(document["disclosures"]) == known
        for claim in known:
            assert salted(document, claim, values[claim]) == claims["hashes"][claim]
        # A salt opens one claim only, and nothing of the others' stands in the open.
        salts = [unb64(salt) for salt in document["disclosures"].values()]
        text = json.dumps(claims)
        for claim in set(values) - known:
            assert all(b64(hashlib.sha256(salt + values[claim].encode()).digest()) != claims["hashes"][claim]
                       for salt in salts + [b""])
        assert not any(value in text for value in values.values())
    assert len(jws) == 1


def test_the_same_buyer_is_another_hash_in_every_receipt(shop, customer):
    alice = customer()
    hashes = []
    for plugin in ("dice", "quotes"):
        order, _serial = alice.purchase(plugin)
        hashes.append(receipt(shop, order)[1]["hashes"])
    assert all(hashes[0][claim] != hashes[1][claim] for claim in hashes[0])


# --- the chain


def test_a_receipt_that_was_signed_never_changes(shop, customer):
    order, _serial = customer().purchase("dice")
    first = documents(shop, order)
    assert documents(shop, order) == first == documents(shop, order, "--all")


def test_delivery_is_unknown_until_the_client_acknowledges_the_push(shop, customer):
    alice = customer()
    order = alice.buy("dice")
    alice.press(order)
    shop.wait_order(order.get("id"), "fulfilled")
    _document, claims = receipt(shop, order.get("id"))
    assert claims["delivered"] is None
    alice.push_of("serials")
    delivered(shop, order.get("id"))
    first, second = chain(shop, order.get("id"))
    assert first == claims and second["reason"] == "delivered"
    assert second["delivered"] >= second["fulfilled"] == first["fulfilled"]
    assert second["hashes"] == first["hashes"] and second["payments"] == first["payments"]


def test_a_client_that_refuses_the_push_has_not_received_it(shop, customer):
    alice = customer()
    order = alice.buy("dice").get("id")
    alice.press(alice.buy("dice"))
    while True:
        element = alice.client.next(10)
        if element.get("type") != "set":
            continue
        is_serials = element[0].tag.endswith("}serials")
        alice.client.send(f"<iq type='{'error' if is_serials else 'result'}' id='{element.get('id')}' to='{alice.to}'>"
                          + ("<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                             "</error>" if is_serials else "") + "</iq>")
        if is_serials:
            break
    alice.client.barrier()
    assert receipt(shop, order)[1]["delivered"] is None


def test_a_refund_supersedes_with_its_sums(shop, customer):
    alice = customer()
    order, _serial = alice.purchase("dice")
    delivered(shop, order)
    documents(shop, order)
    payment = shop.checkout(order)["payments"][0]["payment"]
    body = json.dumps(shop.event(order, "payment.refunded", payment=payment, refund=f"re_{order}", amount=200)).encode()
    assert shop.callback(None, body=body, webhook_id=f"msg_{order}") == 200
    assert shop.callback(shop.event(order, "payment.refunded", payment=payment, refund=f"rf_{order}", amount=300)) == 200
    bought, part, full = chain(shop, order)
    assert [one["reason"] for one in (bought, part, full)] == ["fulfilled", "refund", "refund"]
    assert [(one["paid"], one["refunded"], one["status"]) for one in (bought, part, full)] \
        == [(500, 0, "paid"), (500, 200, "part-refunded"), (500, 500, "refunded")]
    assert [len(one["refunds"]) for one in (bought, part, full)] == [0, 1, 2]
    [entry] = part["refunds"]
    assert (entry["refund"], entry["payment"], entry["amount"]) == (f"re_{order}", payment, 200)
    assert entry["webhook_id"] == f"msg_{order}" and entry["body_sha256"] == b64(hashlib.sha256(body).digest())
    assert bought["delivered"] == part["delivered"] == full["delivered"]


def test_a_repeated_callback_adds_no_receipt(shop, customer):
    order, _serial = customer().purchase("dice")
    payment = shop.checkout(order)["payments"][0]["payment"]
    event = shop.event(order, "payment.refunded", payment=payment, refund=f"re_{order}", amount=200)
    for webhook_id in (f"msg_a_{order}", f"msg_a_{order}", f"msg_b_{order}"):
        assert shop.callback(event, webhook_id=webhook_id) == 200
    assert [one["reason"] for one in chain(shop, order)] == ["fulfilled", "refund"]


def test_a_lost_dispute_supersedes(shop, customer):
    order, _serial = customer().purchase("dice")
    payment = shop.checkout(order)["payments"][0]["payment"]
    for kind in ("payment.disputed", "payment.dispute_lost"):
        assert shop.callback(shop.event(order, kind, payment=payment, dispute=f"dp_{order}")) == 200
    receipts = chain(shop, order)
    assert [one["reason"] for one in receipts] == ["fulfilled", "dispute", "dispute-lost"]
    assert [one["status"] for one in receipts] == ["paid", "disputed", "charged-back"]
    assert [one.get("lost") for one in receipts] == [None, None, 500]
    assert [[entry["status"] for entry in one["disputes"]] for one in receipts] == [[], ["open"], ["lost"]]


def test_a_replaced_serial_supersedes(shop, customer):
    alice = customer()
    order, (_state, first, _epoch) = alice.purchase("quotes")
    delivered(shop, order)
    answer = alice.ask("set", f"<rejected xmlns='{SERIALS}' plugin='quotes' reason='bad' epoch='1'/>")
    second = answer[0].findtext(f"{{{SERIALS}}}serial")
    assert second and second != first
    bought, replaced = chain(shop, order)
    assert replaced["reason"] == "replaced" and replaced["fulfilled"] == bought["fulfilled"]
    document, _claims = receipt(shop, order)
    assert salted(document, "serial", first) == bought["hashes"]["serial"]
    assert salted(document, "serial", second) == replaced["hashes"]["serial"]


# --- hostctl receipt verify


def test_the_verifier_works_without_a_server_and_says_what_it_checked(shop, recorder, customer, tmp_path):
    alice = customer()
    order, (_state, serial, _epoch) = alice.purchase("dice")
    delivered(shop, order)
    buyer = json.dumps(documents(shop, order)[0])
    code, answer, _message = check(shop, tmp_path, buyer, "--serial", serial, "--buyer",
                                   f"{alice.name}@{shop.host.domain}", "--issuer", recorder.base)
    assert code == 0 and answer["checked"] == ["signature", "issuer", "serial", "buyer"]
    assert answer["claims"] == verify(json.loads(buyer)["receipt"], jwks(shop), TYPE)
    assert check(shop, tmp_path, buyer, "--serial", "-", stdin=serial + "\n")[0] == 0
    assert check(shop, tmp_path, json.loads(buyer)["receipt"])[0] == 0

    vendor = json.dumps(documents(shop, order, "--for", "vendor")[0])
    code, answer, _message = check(shop, tmp_path, vendor, "--serial", serial, "--buyer", names_of(alice))
    assert code == 0 and answer["checked"] == ["signature", "serial", "buyer_at_vendor"]
    code, answer, message = check(shop, tmp_path, vendor, "--buyer", f"{alice.name}@{shop.host.domain}")
    assert code == 1 and answer == {"valid": False, "reason": "it is about another buyer"}

    provider = json.dumps(documents(shop, order, "--for", "provider")[0])
    entry = json.loads(unb64(json.loads(provider)["receipt"].split(".")[1]))["payments"][0]
    body = sent_body(recorder, entry["webhook_id"])
    (tmp_path / "body").write_bytes(body)
    code, answer, _message = check(shop, tmp_path, provider, "--body", tmp_path / "body")
    assert code == 0 and answer["checked"] == ["signature", "body"]
    (tmp_path / "body").write_bytes(body + b"\n")
    assert check(shop, tmp_path, provider, "--body", tmp_path / "body")[0] == 1
    code, _answer, message = check(shop, tmp_path, provider, "--serial", serial)
    assert code == 1 and "not disclosed" in message


def test_an_altered_receipt_is_refused_with_the_reason(shop, customer, tmp_path):
    order, (_state, serial, _epoch) = customer().purchase("dice")
    [document] = documents(shop, order)
    head, body, signature = document["receipt"].split(".")

    def reason(*arguments, receipt=None, disclosures=None):
        code, answer, message = check(shop, tmp_path, json.dumps({"receipt": receipt or document["receipt"],
                                                                  "disclosures": disclosures or document["disclosures"]}),
                                      *arguments)
        assert code == 1 and message.strip().endswith(answer["reason"])
        return answer["reason"]

    cheaper = b64(unb64(body).replace(b'"amount":500', b'"amount":499', 1))
    assert reason(receipt=f"{head}.{cheaper}.{signature}") == "its signature does not fit"
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    assert reason(receipt=f"{head}.{body}.{flipped}") == "its signature does not fit"
    unsigned = b64(unb64(head).replace(b"ES256", b"none"))
    assert reason(receipt=f"{unsigned}.{body}.") == "its algorithm is not ES256"
    stranger = b64(json.dumps({**json.loads(unb64(head)), "kid": "A" * 43}).encode())
    assert "does not publish" in reason(receipt=f"{stranger}.{body}.{signature}")
    assert reason("--serial", "DICE-X") == "it is about another serial"
    assert reason("--serial", serial, disclosures={"serial": b64(bytes(32))}) == "it is about another serial"
    assert reason("--issuer", "https://other.example") == "it is another issuer's"
    assert "salt" in reason(disclosures={"serial": "AAAA"})
    assert "unknown" in reason(disclosures={"price": b64(bytes(32))})


def test_a_chain_is_verified_in_one_go(shop, customer, tmp_path):
    order, _serial = customer().purchase("dice")
    payment = shop.checkout(order)["payments"][0]["payment"]
    for number in range(2):
        shop.callback(shop.event(order, "payment.refunded", payment=payment, refund=f"r{number}{order}", amount=10))
    lines = shop.host.hostctl("order", "receipt", order, "--all").stdout.splitlines()
    assert len(lines) == 3
    code, answer, _message = check(shop, tmp_path, "\n".join(lines))
    assert code == 0 and answer["checked"] == ["signature", "chain"] and answer["claims"]["refunded"] == 20
    assert check(shop, tmp_path, "\n".join([lines[0], lines[2]]))[0] == 1
    code, _answer, message = check(shop, tmp_path, "\n".join(lines[::-1]))
    assert code == 1 and "receipt 2 of the file" in message


def test_the_verifiers_exit_code_tells_misuse_from_a_bad_receipt(shop, customer, tmp_path):
    order, _serial = customer().purchase("dice")
    good = json.dumps(documents(shop, order)[0])
    for text in ("", "{}", "[]", "{\"receipt\":1}", "x" * 70000, good + "}", "\0"):
        assert check(shop, tmp_path, text)[0] == 1, text[:20]
    assert check(shop, tmp_path, good, "--nothing")[0] == 2
    assert check(shop, tmp_path, good, tmp_path / "receipt.json")[0] == 2
    assert check(shop, tmp_path, good, keys={"keys": []})[0] == 2
    assert check(shop, tmp_path, good, "--body", tmp_path / "absent")[0] == 2
    run = subprocess.run([program("hostctl"), "receipt", "verify", tmp_path / "receipt.json"], capture_output=True, text=True)
    assert run.returncode == 2 and "--jwks" in run.stderr
    # With a server at hand its keys are asked of it.
    run = shop.host.hostctl("receipt", "verify", tmp_path / "receipt.json")
    assert "fulfilled" in run.stdout and "checked: signature" in run.stdout
    assert "receipt verify FILE" in shop.host.hostctl("help", "receipt").stdout


def test_old_receipts_stay_verifiable_when_the_keys_are_rotated(shop, customer, tmp_path):
    alice = customer()
    order, (_state, serial, _epoch) = alice.purchase("dice")
    [old] = documents(shop, order)
    before = jwks(shop)
    shop.host.hostctl("key", "rotate")
    order_after, _serial = alice.purchase("quotes")
    _document, claims = receipt(shop, order_after)
    assert verify(old["receipt"], jwks(shop), TYPE)["order"] == order
    assert documents(shop, order) == [old]
    assert check(shop, tmp_path, json.dumps(old), "--serial", serial)[0] == 0
    # Who only has the keys of before cannot know the new one.
    code, _answer, message = check(shop, tmp_path, json.dumps(documents(shop, order_after)[0]), keys=before)
    assert code == 1 and "does not publish" in message
    # And a chain may go on under another key.
    payment = shop.checkout(order)["payments"][0]["payment"]
    shop.callback(shop.event(order, "payment.refunded", payment=payment, refund=f"re_{order}", amount=200))
    kids = {json.loads(unb64(one["receipt"].split(".")[0]))["kid"] for one in documents(shop, order, "--all")}
    assert len(kids) == 2 and len(chain(shop, order)) >= 2


# --- over XMPP


def test_the_buyer_gets_it_over_xmpp_with_the_keys(shop, customer):
    alice = customer()
    order, (_state, serial, _epoch) = alice.purchase("dice")
    delivered(shop, order)
    [keys] = alice.ask("get", f"<keys xmlns='{MARKET}'/>")
    assert json.loads(keys.text) == jwks(shop)
    [element] = alice.ask("get", f"<receipt xmlns='{MARKET}' order='{order}'/>")
    assert element.tag == f"{{{MARKET}}}receipt" and element.get("order") == order
    jws = element.findtext(f"{{{MARKET}}}jws")
    salts = {child.get("claim"): child.get("salt") for child in element.findall(f"{{{MARKET}}}disclosure")}
    claims = verify(jws, json.loads(keys.text), TYPE)
    assert documents(shop, order) == [{"receipt": jws, "disclosures": salts}]
    assert salted({"disclosures": salts}, "serial", serial) == claims["hashes"]["serial"]


# --- in the client


@pytest.fixture
def device(shop, tmp_path):
    def make(user):
        return HostClient(tmp_path / "device", shop.host, user)
    return make


def test_the_client_fetches_verifies_and_shows_it(shop, customer, device, tmp_path):
    alice = customer()
    order, (_state, serial, _epoch) = alice.purchase("dice")
    delivered(shop, order)
    [shown] = device(alice.name).must("receipt", order)
    assert shown["valid"] is True and (shown["serial"], shown["buyer"]) == ("matches", "matches")
    assert shown["claims"]["order"] == order
    # What it prints is a file that the buyer can verify elsewhere.
    code, answer, _message = check(shop, tmp_path, json.dumps(shown), "--serial", serial, "--buyer",
                                   f"{alice.name}@{shop.host.domain}")
    assert code == 0 and answer["checked"] == ["signature", "serial", "buyer"]
    process = device(alice.name).spawn("receipt", order)
    text, _errors = process.communicate(timeout=40)
    assert process.returncode == 0
    for fact in (f"order       {order}", "5.00 EUR, paid through stub: paid", "the one on this device", "buyer       you"):
        assert fact in text


def test_the_client_says_when_there_is_no_receipt(shop, customer, device):
    alice, bob = customer(), customer()
    order = alice.buy("dice").get("id")
    code, [told], errors = device(alice.name).run("receipt", order)
    assert code == 1 and "no-receipt" in told["text"] and "no receipt" in errors
    code, [told], _errors = device(bob.name).run("receipt", order)
    assert code == 1 and "item-not-found" in told["text"]


def test_the_client_takes_no_altered_receipt(shop, customer, device):
    """The server itself hands it out here: somebody was at its store."""
    alice = customer()
    order, _serial = alice.purchase("dice")
    other, _serial = alice.purchase("quotes")
    [good], [wrong] = documents(shop, order), documents(shop, other)
    head, body, signature = good["receipt"].split(".")
    cheaper = f"{head}.{b64(unb64(body).replace(b'500', b'499'))}.{signature}"
    for jws, reason in [(cheaper, "its signature does not fit"), (wrong["receipt"], "it is about another order")]:
        with sqlite3.connect(shop.host.data / "market.db", timeout=10) as db:
            db.execute("UPDATE receipt SET jws = ? WHERE line = (SELECT id FROM purchase_line WHERE purchase = ?)", (jws, order))
        code, [told], _errors = device(alice.name).run("receipt", order)
        assert code == 1 and (told["valid"], told["reason"]) == (False, reason)


def test_the_client_shows_a_receipt_while_one_types(shop, customer, device):
    alice = customer()
    order, _serial = alice.purchase("dice")
    screen = device(alice.name).terminal()
    try:
        screen.wait("online as")
        screen.enter(f"/receipt {order}")
        screen.wait("signed with the host's key")
        screen.enter("/receipt")
        screen.wait("of which order?")
        screen.enter("/receipt o_nothing")
        screen.wait("no receipt: item-not-found")
        screen.enter("/quit")
        assert screen.end() == 0
    finally:
        screen.kill()
