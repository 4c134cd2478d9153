"""billing-stub as a merchant meets it: the program, its interface, its page, and a receiver of its callbacks that
answers as it is told. The signature is computed here by itself, not by the code under test."""

import base64
import hashlib
import hmac
import html.parser
import json
import queue
import time
import urllib.parse

from lib.party import Party
from lib.process import HttpProgram, program

KEY = "sk_test_key"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
MERCHANT = "stoa-test"


def sign(secret, webhook_id, timestamp, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


class Delivery:
    """One callback as it arrived."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.at = time.monotonic()
        self.id = headers["webhook-id"]
        self.timestamp = int(headers["webhook-timestamp"])

    @property
    def event(self):
        return json.loads(self.body)

    def is_authentic(self, secret=SECRET):
        expected = sign(secret, self.id, self.timestamp, self.body)
        return (hmac.compare_digest(expected, self.headers["webhook-signature"])
                and abs(time.time() - self.timestamp) <= 300)


class Receiver(Party):
    """A merchant's callback address. `answers`: (status, headers) for the next deliveries, then 200."""

    accepts = ("POST",)

    def __init__(self):
        self.deliveries = queue.Queue()
        self.answers = []
        super().__init__()
        self.url = f"{self.base}/v1/billing/stub"

    def handle(self, request, body):
        delivery = Delivery(request.path, request.headers, body)
        status, headers = 200, {}
        if not delivery.is_authentic():
            status = 401
        elif self.answers:
            status, headers = self.answers.pop(0)
        self.deliveries.put(delivery)
        return status, b"", headers

    def next(self, timeout=10):
        return self.deliveries.get(timeout=timeout)

    def is_quiet(self, seconds):
        try:
            self.deliveries.get(timeout=seconds)
            return False
        except queue.Empty:
            return True


class Form(html.parser.HTMLParser):
    """The one form of a charging page: its action, hidden fields and buttons."""

    def __init__(self, text):
        super().__init__()
        self.action, self.fields, self.buttons, self.scripts = None, {}, [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            assert self.action is None and attributes["method"] == "post"
            self.action = attributes["action"]
        elif tag == "input":
            self.fields[attributes["name"]] = attributes["value"]
        elif tag == "button":
            self.buttons.append((attributes["name"], attributes["value"]))
        elif tag == "script":
            self.scripts += 1


class Stub(HttpProgram):
    def __init__(self, folder, *arguments):
        self.folder, self.arguments = folder, arguments

    def start(self, *more):
        return self.listen(
            [program("billing-stub"), "--listen", "127.0.0.1:0", "--data", self.folder / "ledger", "--api-key", KEY,
             "--webhook-secret", SECRET, "--merchant", MERCHANT, *self.arguments, *more], self.folder / "stub-output")

    def call(self, method, path, body=None, key=None, bearer=KEY, **headers):
        """(status, JSON) of the merchant's interface."""
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        if key is not None:
            headers["Idempotency-Key"] = key
        text = json.dumps(body) if isinstance(body, dict) else body
        answer, text = self.request(method, path, text, headers)
        return answer.status, json.loads(text)

    def order(self, callback, order="o_1", **changes):
        body = {"order": order, "amount": 499, "currency": "EUR", "description": "Weather for a year",
                "buyer": "k3q", "callback": callback,
                "expires": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1800)), **changes}
        return {name: value for name, value in body.items() if value is not None}

    def checkout(self, callback, order="o_1", **changes):
        status, answer = self.call("POST", "/v1/checkouts", self.order(callback, order, **changes), key=order)
        assert status == 201, answer
        return answer

    def page(self, checkout):
        answer, text = self.request("GET", urllib.parse.urlsplit(checkout["url"]).path)
        return answer, text

    def press(self, checkout, action):
        """Presses a button of the page as a browser would: (status, the page then shown)."""
        _answer, text = self.page(checkout)
        form = Form(text)
        assert ("action", action) in form.buttons
        answer, text = self.request("POST", form.action, urllib.parse.urlencode({**form.fields, "action": action}),
                                    {"Content-Type": "application/x-www-form-urlencoded"})
        if answer.status == 303:
            _page, text = self.request("GET", answer.headers["Location"])
        return answer.status, text

    def get(self, checkout):
        status, answer = self.call("GET", f"/v1/checkouts/{checkout['checkout']}")
        assert status == 200
        return answer
