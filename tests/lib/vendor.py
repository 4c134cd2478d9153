"""plugin-server as the host and the plugins meet it; requests are signed here, not by the code under test."""

import base64
import contextlib
import json
import secrets
import sqlite3
import time

from lib.billing import sign
from lib.party import Party
from lib.process import ROOT, HttpProgram, program

SECRET = "whsec_" + base64.b64encode(b"vendor-secret-vendor-secret-0123").decode()


class PluginServer(HttpProgram):
    def __init__(self, folder, plugin, *arguments, secret=SECRET):
        self.folder, self.plugin, self.arguments, self.secret = folder, plugin, arguments, secret

    def command(self):
        """The program and how it learns the secret."""
        return [program("plugin-server"), *([] if "--secret-file" in self.arguments else ["--secret", self.secret])]

    def start(self):
        return self.listen(
            [*self.command(), "--listen", "127.0.0.1:0", "--data", self.folder / f"vendor-{self.plugin}",
             "--plugin", self.plugin, *self.arguments],
            self.folder / f"vendor-{self.plugin}-output")

    @property
    def base(self):
        return f"http://{self.address}"

    def restart_with(self, *arguments):
        """The same vendor at the same address, behaving otherwise from now on."""
        address = self.address
        self.stop()
        self.arguments = (*arguments, "--listen", address)
        return self.start()

    def request(self, method, path, body=None, headers=None):
        """(status, text)"""
        answer, text = super().request(method, path, body, headers)
        return answer.status, text

    def headers(self, method, path, body=b"", age_s=0, secret=None):
        timestamp = int(time.time()) - age_s
        webhook_id = "msg_" + secrets.token_hex(8)
        content = body or f"{method} {path}".encode()
        return {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp),
                "webhook-signature": sign(secret or self.secret, webhook_id, timestamp, content)}

    def ask(self, method, path, body=None):
        """A signed request of the host: (status, JSON or None)."""
        data = json.dumps(body).encode() if body is not None else b""
        status, text = self.request(method, path, data or None, self.headers(method, path, data))
        return status, json.loads(text) if text else None

    def issue(self, request="ol_1.1", user="k3q", term="P1Y", **changes):
        body = {"request": request, "plugin": self.plugin, "user": user, "term": term, **changes}
        return self.ask("POST", "/v1/serials", {name: value for name, value in body.items() if value is not None})

    def requests(self):
        """What the register holds: {request: (serial or None, is it void)}."""
        path = self.folder / f"vendor-{self.plugin}" / "register.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            return {request: (serial, bool(is_void))
                    for request, serial, is_void in db.execute("SELECT request, serial, is_void FROM requests")}

    def session(self, serial, user=None, **headers):
        """As a plugin opens one: (status, the session's id or None)."""
        body = {"serial": serial, "user": user} if user else {"serial": serial}
        status, text = self.request("POST", "/v1/session", json.dumps(body), headers)
        return status, json.loads(text).get("session")


class PythonServer(PluginServer):
    """The sample in Python. It ends by a signal alone."""

    def command(self):
        path = self.folder / f"vendor-{self.plugin}-secrets"
        path.write_text(self.secret + "\n")
        return ["/usr/bin/python3", ROOT / "docs/samples/plugin_server.py", "--secret-file", path]

    def stop(self):
        if self.process is not None:
            self.kill()

    def requests(self):
        path = self.folder / f"vendor-{self.plugin}" / "register.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            return {request: (serial, bool(is_void))
                    for request, serial, is_void in db.execute("SELECT id, serial, is_void FROM request")}


class SameAnswer(Party):
    """A server that gives one answer to everything."""

    def __init__(self, status, body):
        self.status, self.body = status, body
        super().__init__()

    def handle(self, request, body):
        return self.status, self.body, {}
