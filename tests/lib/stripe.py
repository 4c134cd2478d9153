"""Stripe as a host meets it, scripted: the part of its interface that Checkout needs, over a socket, with its forms,
versions, idempotency keys, expansions, pages, errors, and signed events that are sent until they are taken. Objects are
the recorded ones with what happened to them changed. What buyers, banks and the dashboard do are methods.

Written from docs.stripe.com; nothing of it comes from the code under test."""

import copy
import hashlib
import hmac
import http.client
import itertools
import json
import queue
import threading
import time
import urllib.parse

from lib.host import Host
from lib.market import Shop, modules_config
from lib.party import Party
from lib.process import ROOT, wait_until

RECORDED = ROOT / "tests" / "recorded" / "stripe"
VERSION = "2024-12-18.acacia"
KEY = "sk_test_51HostUnderTest"
SECRET = "whsec_0123456789abcdefghijklmnopqrstuv"


def recorded(name):
    return json.loads((RECORDED / f"{name}.json").read_text())


def sign(secret, body, at=None):
    """Stripe-Signature: the key is the secret's text."""
    timestamp = int(time.time() if at is None else at)
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={mac},v0={'0' * 64}"


def read_form(text):
    """{"metadata": {"order": "o_1"}, "line_items": {"0": {…}}} of metadata[order]=o_1&line_items[0][…]=…"""
    form = {}
    for name, value in urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)):
        *path, last = name.replace("]", "").split("[")
        place = form
        for step in path:
            place = place.setdefault(step, {})
        assert last not in place, f"{name} twice"
        place[last] = value
    return form


class Refusal(Exception):
    def __init__(self, status, kind="invalid_request_error", code=None, message="as the documentation says"):
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "message": message, **({"code": code} if code else {})}}


class Stripe(Party):
    """The other side. `answers`: functions (method, path, key, form) → (status, object) or None, for the next requests; None
    goes on as usual. `is_sending`: events are delivered by themselves, otherwise by deliver ()."""

    accepts = ("GET", "POST")

    def __init__(self, secret=SECRET, key=KEY):
        self.secrets, self.key = [secret], key
        self.sessions, self.intents, self.charges, self.refunds, self.disputes = {}, {}, {}, {}, {}
        self.keys, self.requests, self.answers = {}, [], []
        self.events, self.statuses = [], []
        self.endpoint, self.is_sending = None, True
        self.refund_status, self.life_s = "succeeded", None
        self.lock = threading.RLock()
        self.numbers = itertools.count(1)
        self.outbox = queue.Queue()
        super().__init__()
        self.sender = threading.Thread(target=self.send_events)
        self.sender.start()

    def handle(self, request, body):
        status, value = self.serve(request.command, request.path, request.headers, body.decode())
        return status, json.dumps(value).encode(), {"Content-Type": "application/json"}

    def close(self):
        self.outbox.put(None)
        super().close()
        self.sender.join()

    # --- the interface

    def serve(self, method, path, headers, body):
        with self.lock:
            key = headers.get("Idempotency-Key")
            where = urllib.parse.urlsplit(path)
            try:
                form = read_form(body if method == "POST" else where.query)
                self.requests.append((method, where.path, key, form))
                if headers.get("Authorization") != f"Bearer {self.key}":
                    raise Refusal(401, message="Invalid API Key provided")
                assert headers.get("Stripe-Version") == VERSION
                assert method == "GET" or headers.get("Content-Type") == "application/x-www-form-urlencoded"
                if self.answers:
                    scripted = self.answers.pop(0)(method, where.path, key, form)
                    if scripted is not None:
                        return scripted
                return self.once(method, where.path, key, form)
            except Refusal as refusal:
                return refusal.status, refusal.body

    def once(self, method, path, key, form):
        """What a key was first answered with is its answer for ever."""
        if key is None or method == "GET":
            return self.act(method, path, form)
        if key in self.keys:
            request, answer = self.keys[key]
            if request != (path, form):
                raise Refusal(400, "idempotency_error")
            return answer
        answer = copy.deepcopy(self.act(method, path, form))
        self.keys[key] = ((path, copy.deepcopy(form)), answer)
        return answer

    def act(self, method, path, form):
        parts = path.split("/")[2:]
        match method, parts:
            case "POST", ["checkout", "sessions"]:
                return 200, self.make_session(form)
            case "GET", ["checkout", "sessions"]:
                return 200, self.list_sessions(form)
            case "GET", ["checkout", "sessions", name]:
                return 200, self.show_session(self.find(self.sessions, name), form)
            case "POST", ["checkout", "sessions", name, "expire"]:
                session = self.find(self.sessions, name)
                if session["status"] != "open":
                    raise Refusal(400, message="Only Checkout Sessions with a status in [\"open\"] can be expired.")
                self.expire(name)
                return 200, self.show_session(session, form)
            case "POST", ["refunds"]:
                return 200, self.show_refund(self.make_refund(form), form)
            case "GET", ["refunds", name]:
                return 200, self.show_refund(self.find(self.refunds, name), form)
            case "GET", ["disputes"]:
                found = [one for one in self.disputes.values() if one["payment_intent"] == form["payment_intent"]]
                return 200, {"object": "list", "url": "/v1/disputes", "has_more": False, "data": found}
        raise Refusal(404, message=f"Unrecognized request URL ({method}: {path})")

    def find(self, table, name):
        if name not in table:
            raise Refusal(404, code="resource_missing", message=f"No such thing: '{name}'")
        return table[name]

    def new_id(self, prefix):
        return f"{prefix}_{next(self.numbers):06d}{hashlib.sha256(self.base.encode()).hexdigest()[:8]}"

    def make_session(self, form):
        now = int(time.time())
        [item] = form["line_items"].values()
        price = item["price_data"]
        expires = int(form.get("expires_at", now + 86400))
        if not now + 1800 <= expires <= now + 86400:
            raise Refusal(400, message="The `expires_at` timestamp must be between 30 minutes and 24 hours from now.")
        if self.life_s is not None:  # no test waits for half an hour
            expires = now + self.life_s
        if form["mode"] != "payment" or not form["success_url"].startswith("http") or item["quantity"] != "1":
            raise Refusal(400, message="as no host of ours asks")
        amount = int(price["unit_amount"])
        name = self.new_id("cs_test")
        session = recorded("session-open")
        session.update(id=name, created=now, expires_at=expires, amount_subtotal=amount, amount_total=amount,
                       currency=price["currency"], metadata=form["metadata"], url=f"{self.base}/c/pay/{name}#fidnandhYHdW",
                       client_reference_id=form["client_reference_id"], success_url=form["success_url"],
                       cancel_url=form["cancel_url"])
        session["intent_metadata"] = form["payment_intent_data"]["metadata"]  # ours; not shown
        self.sessions[name] = session
        return self.show_session(session, form)

    def show_session(self, session, form, prefix=""):
        shown = {key: value for key, value in session.items() if key != "intent_metadata"}
        if f"{prefix}payment_intent.latest_charge" in form.get("expand", {}).values() and session["payment_intent"]:
            intent = dict(self.intents[session["payment_intent"]])
            intent["latest_charge"] = self.charges[intent["latest_charge"]]
            shown["payment_intent"] = intent
        return copy.deepcopy(shown)

    def list_sessions(self, form):
        newest = [one for one in reversed(self.sessions.values()) if one["created"] >= int(form["created"]["gte"])]
        if "starting_after" in form:
            newest = newest[[one["id"] for one in newest].index(form["starting_after"]) + 1:]
        page = newest[:int(form["limit"])]
        return {"object": "list", "url": "/v1/checkout/sessions", "has_more": len(page) < len(newest),
                "data": [self.show_session(one, form, "data.") for one in page]}

    def make_refund(self, form):
        charge = self.charges[self.find(self.intents, form["payment_intent"])["latest_charge"]]
        amount = int(form["amount"])
        if charge["amount_refunded"] == charge["amount"]:
            raise Refusal(400, code="charge_already_refunded")
        if amount > charge["amount"] - charge["amount_refunded"]:
            raise Refusal(400, message="Refund amount is greater than unrefunded amount on charge")
        return self.refund(form["payment_intent"], amount, form.get("metadata", {}))

    def show_refund(self, refund, form):
        shown = copy.deepcopy(refund)
        if "charge" in form.get("expand", {}).values():
            shown["charge"] = copy.deepcopy(self.charges[refund["charge"]])
        return shown

    # --- what buyers do

    def session_of(self, order):
        with self.lock:
            return next(one for one in self.sessions.values() if one["metadata"].get("order") == order)

    def pay(self, order, is_instant=True):
        """With a card; or with a means that takes days."""
        with self.lock:
            session = self.session_of(order)
            assert session["status"] == "open"
            intent, charge = recorded("session-paid")["payment_intent"], self.new_id("ch")
            intent.update(id=self.new_id("pi"), amount=session["amount_total"], currency=session["currency"],
                          metadata=session["intent_metadata"], latest_charge=charge,
                          status="succeeded" if is_instant else "processing",
                          amount_received=session["amount_total"] if is_instant else 0)
            self.intents[intent["id"]] = intent
            self.charges[charge] = {**recorded("session-paid")["payment_intent"]["latest_charge"], "id": charge,
                                    "amount": session["amount_total"], "amount_captured": session["amount_total"],
                                    "currency": session["currency"], "payment_intent": intent["id"],
                                    "metadata": dict(intent["metadata"]),
                                    "status": "succeeded" if is_instant else "pending", "paid": is_instant}
            session.update(status="complete", url=None, payment_intent=intent["id"],
                           payment_status="paid" if is_instant else "unpaid")
            self.emit("checkout.session.completed", self.show_session(session, {}))
            return intent["id"]

    def settle(self, order, is_paid):
        """The end of a payment that took days."""
        with self.lock:
            session = self.session_of(order)
            intent = self.intents[session["payment_intent"]]
            intent["status"] = "succeeded" if is_paid else "requires_payment_method"
            intent["amount_received"] = intent["amount"] if is_paid else 0
            self.charges[intent["latest_charge"]].update(status="succeeded" if is_paid else "failed", paid=is_paid)
            if is_paid:
                session["payment_status"] = "paid"
            self.emit(f"checkout.session.async_payment_{'succeeded' if is_paid else 'failed'}",
                      self.show_session(session, {}))

    def expire(self, name):
        with self.lock:
            self.sessions[name].update(status="expired", url=None)
            self.emit("checkout.session.expired", self.show_session(self.sessions[name], {}))

    # --- what the dashboard and banks do

    def refund(self, intent, amount, metadata=None):
        with self.lock:
            charge = self.charges[self.intents[intent]["latest_charge"]]
            before = charge["amount_refunded"]
            charge["amount_refunded"] += amount
            charge["refunded"] = charge["amount_refunded"] == charge["amount"]
            refund = recorded("refund-succeeded")
            refund.update(id=self.new_id("re"), amount=amount, charge=charge["id"], payment_intent=intent,
                          currency=charge["currency"], metadata=metadata or {}, status=self.refund_status)
            self.refunds[refund["id"]] = refund
            self.emit("refund.created", refund)
            self.emit("charge.refunded", charge, {"amount_refunded": before})
            return refund

    def fail_refund(self, name):
        with self.lock:
            refund = self.refunds[name]
            refund["status"] = "failed"
            charge = self.charges[refund["charge"]]
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            self.emit("refund.failed", refund)

    def dispute(self, intent, status="needs_response"):
        with self.lock:
            charge = self.charges[self.intents[intent]["latest_charge"]]
            charge["disputed"] = True
            dispute = recorded("disputes")["data"][0]
            dispute.update(id=self.new_id("du"), charge=charge["id"], payment_intent=intent, amount=charge["amount"],
                           currency=charge["currency"], status=status)
            self.disputes[dispute["id"]] = dispute
            self.emit("charge.dispute.created", dispute)
            if not status.startswith("warning_"):
                self.emit("charge.dispute.funds_withdrawn", dispute)
            return dispute["id"]

    def move_dispute(self, name, status):
        with self.lock:
            dispute = self.disputes[name]
            before, dispute["status"] = dispute["status"], status
            kind = "closed" if status in ("won", "lost", "warning_closed") else "updated"
            self.emit(f"charge.dispute.{kind}", dispute, {"status": before})
            if before.startswith("warning_") and kind == "updated" and not status.startswith("warning_"):
                self.emit("charge.dispute.funds_withdrawn", dispute)
            if status == "won":
                self.emit("charge.dispute.funds_reinstated", dispute)

    # --- events

    def emit(self, kind, thing, previous=None):
        data = {"object": copy.deepcopy(thing), **({"previous_attributes": previous} if previous else {})}
        event = {"id": self.new_id("evt"), "object": "event", "api_version": VERSION, "created": int(time.time()),
                 "data": data, "livemode": False, "pending_webhooks": 1,
                 "request": {"id": None, "idempotency_key": None}, "type": kind}
        self.events.append(event)
        if self.is_sending:
            self.outbox.put(event)

    def send_events(self):
        """Again and again until it is taken, as Stripe does for three days."""
        while (event := self.outbox.get()) is not None:
            try:
                status = self.deliver(event)
            except OSError:
                status = None
            if status != 200 and self.outbox.empty():
                time.sleep(0.05)
            if status != 200:
                self.outbox.put(event)

    def header(self, body, at=None):
        signatures = [sign(secret, body, at) for secret in self.secrets]
        return ",".join([signatures[0], *[part for one in signatures[1:] for part in one.split(",")[1:]]])

    def deliver(self, event, *, header=None, body=None):
        """The status that the host answers an event with."""
        body = json.dumps(event, indent=2).encode() if body is None else body
        where = urllib.parse.urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(where.netloc, timeout=10)
        try:
            connection.request("POST", where.path, body,
                               {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Stripe/1.0",
                                "Stripe-Signature": header or self.header(body)})
            answer = connection.getresponse()
            answer.read()
            self.statuses.append((event and event["id"], answer.status))
            return answer.status
        finally:
            connection.close()

    def of(self, kind):
        with self.lock:
            return [event for event in self.events if event["type"] == kind]

    def asked(self, method, path):
        with self.lock:
            return [(key, form) for one, where, key, form in self.requests if (one, where) == (method, path)]


class StripeShop(Shop):
    """A market whose provider is Stripe."""

    def __init__(self, folder, stripe, market=None, **billing):
        super().__init__(folder, market=market, provider=stripe)
        self.billing = {"type": "stripe", "mode": "test", "merchant": "acct_1Host", "base": stripe.base,
                        "api_key": stripe.key, "webhook_secret": stripe.secrets[0], **billing}

    def config(self):
        return {"billing stripe": self.billing, "market": self.market, "modules": modules_config()}

    def start(self):
        self.host = Host(self.folder / "host", config=self.config()).start()
        self.find_endpoint()
        self.host.hostctl("vendor", "add", "acme")
        self.plugin("dice", source="pool")
        self.fill("dice", [f"DICE-{number}" for number in range(40)])
        return self

    def find_endpoint(self):
        self.provider.endpoint = f"http://{self.host.addresses['http']}/v1/billing/stripe"

    def restart(self, **billing):
        self.host.groups["billing stripe"].update(billing)
        self.host.write_config()
        self.host.restart()
        self.find_endpoint()

    def wait_taken(self, timeout=10):
        """Until Stripe has nothing left to send."""
        stripe = self.provider

        def taken():
            with stripe.lock:
                done = {name for name, status in stripe.statuses if status == 200}
                return all(event["id"] in done for event in stripe.events)
        wait_until(taken, timeout, "every event taken")
