#!/usr/bin/python3
"""A complete plugin server for one plugin, with nothing but Python's standard library.

    plugin_server.py --listen 127.0.0.1:8080 --data DIR --secret-file FILE --plugin ID

The first line it prints is {"http": "127.0.0.1:PORT"}. FILE holds the secret that `hostctl vendor add` printed, one a
line while two overlap. Put a web server with TLS in front of it that passes paths on as they are. The contract is in
docs/vendors.md; `hostctl vendor check URL` tries it.
"""

import argparse
import base64
import calendar
import datetime
import hashlib
import hmac
import http.server
import json
import os
import re
import secrets
import sqlite3
import threading
import time

UTC = datetime.timezone.utc
MAX_BODY = 20000
NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
USER = re.compile(r"[!-~]{1,64}")
TOKEN = re.compile(r"[!-~]{1,8192}")
TERM = re.compile(r"P(?:(\d{1,3})Y)?(?:(\d{1,3})M)?(?:(\d{1,3})W)?(?:(\d{1,3})D)?", re.ASCII)


class Refusal(Exception):
    """Ends a request with a status and a reason: 400, 409, 410 and 422 are final for the host."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def verify(keys, headers, content, now):
    """Standard Webhooks: id.timestamp.content under any of our keys, at most five minutes old. What comes again within
    them does nothing twice, as every request here may be repeated; so no id need be remembered."""
    values = []
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        given = headers.get_all(name, [])
        if len(given) != 1 or not given[0]:
            raise Refusal(400, f"{name} is needed, once")
        values.append(given[0])
    webhook_id, timestamp, signatures = values
    entries = [entry.split(",", 1)[1] for entry in signatures.split(" ")[:16] if entry.startswith("v1,")]
    if timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20 and abs(now - int(timestamp)) <= 300:
        signed = f"{webhook_id}.{timestamp}.".encode("latin-1") + content
        for key in keys:
            mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
            if any(hmac.compare_digest(mac, entry.encode("latin-1")) for entry in entries):
                return
    raise Refusal(401, "the request is not authentic")


def add_term(start, term):
    """Calendar months in UTC, clamped to the month's end."""
    match = TERM.fullmatch(term)
    years, months, weeks, days = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    if years + months + weeks + days == 0:
        raise Refusal(400, "term is a duration such as P1Y or P30D")
    months += 12 * years + 12 * start.year + start.month - 1
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day) + datetime.timedelta(days=days, weeks=weeks)


def is_time(text):
    try:
        datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return True
    except ValueError:
        return False


class Register:
    """What must survive: which request got which serial, what was voided (also unseen), the tokens announced."""

    def __init__(self, folder, plugin):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.plugin = plugin
        self.lock = threading.Lock()  # two POSTs of one request at once get one serial
        self.db = sqlite3.connect(os.path.join(folder, "register.db"), check_same_thread=False)
        self.db.executescript("""
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS request (
              id TEXT PRIMARY KEY, serial TEXT UNIQUE, user TEXT, term TEXT, expires TEXT, is_void INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS token (
              jti TEXT PRIMARY KEY, digest TEXT, user TEXT, expires TEXT, is_revoked INTEGER NOT NULL);""")

    def find(self, request):
        return self.db.execute("SELECT serial, user, term, expires, is_void FROM request WHERE id = ?",
                               (request,)).fetchone()

    def issue(self, request, user, term):
        with self.lock, self.db:
            row = self.find(request)
            if row is not None and row[4]:
                raise Refusal(410, "this request was voided")
            if row is not None and (row[1], row[2]) != (user, term):
                raise Refusal(409, "this request was made for another user or term")
            if row is None:
                expires = None
                if term is not None:
                    expires = add_term(datetime.datetime.now(UTC), term).strftime("%Y-%m-%dT%H:%M:%SZ")
                serial = "-".join(secrets.token_hex(3).upper() for _part in range(4))
                row = (serial, user, term, expires, 0)
                self.db.execute("INSERT INTO request VALUES (?, ?, ?, ?, ?, 0)", (request, *row[:4]))
        return row  # committed before it is told

    def look_up(self, request):
        with self.lock:
            row = self.find(request)
        if row is None:
            raise Refusal(404, "not issued so far")
        if row[4]:
            raise Refusal(410, "this request was voided")
        return row

    def void(self, request):
        with self.lock, self.db:
            self.db.execute("INSERT INTO request (id, is_void) VALUES (?, 1)"
                            " ON CONFLICT (id) DO UPDATE SET is_void = 1", (request,))

    def put_token(self, jti, token, user, expires):
        with self.lock, self.db:
            self.db.execute("INSERT INTO token VALUES (?, ?, ?, ?, 0) ON CONFLICT (jti) DO UPDATE SET"
                            " digest = excluded.digest, user = excluded.user, expires = excluded.expires",
                            (jti, hashlib.sha256(token.encode()).hexdigest(), user, expires))

    def revoke_token(self, jti):
        with self.lock, self.db:
            self.db.execute("INSERT INTO token (jti, is_revoked) VALUES (?, 1)"
                            " ON CONFLICT (jti) DO UPDATE SET is_revoked = 1", (jti,))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    register, keys = None, []

    def read_body(self):
        length = self.headers.get("Content-Length", "0")
        is_known = "Transfer-Encoding" not in self.headers and length.isascii() and length.isdigit() and len(length) < 10
        if not is_known or int(length) > MAX_BODY:
            self.close_connection = True  # what follows is not read
            raise Refusal(413 if is_known else 400, f"a body has a Content-Length of at most {MAX_BODY}")
        return self.rfile.read(int(length))

    def read_object(self, body):
        """The JSON object in the body, with its plugin and user."""
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("plugin"), str):
            raise Refusal(400, "a JSON object with a plugin is needed")
        if not isinstance(value.get("user"), str) or not USER.fullmatch(value["user"]):
            raise Refusal(400, "user is needed")
        if value["plugin"] != self.register.plugin:
            raise Refusal(422, "this plugin is not sold here")
        return value

    def post_serial(self, body):
        value = self.read_object(body)
        request, term = value.get("request"), value.get("term")
        if not isinstance(request, str) or not NAME.fullmatch(request) or not isinstance(term, (str, type(None))):
            raise Refusal(400, "request is needed, and term is a text if it is there")
        return 201, self.register.issue(request, value["user"], term or None)

    def put_token(self, jti, body):
        value = self.read_object(body)
        token, expires = value.get("token"), value.get("expires")
        if not isinstance(token, str) or not TOKEN.fullmatch(token) or not isinstance(expires, str) or not is_time(expires):
            raise Refusal(400, "token and expires are needed")
        self.register.put_token(jti, token, value["user"], expires)

    def act(self):
        """(status, register row or None)."""
        body = self.read_body()
        verify(self.keys, self.headers, body or f"{self.command} {self.path}".encode("latin-1"), time.time())
        if (self.command, self.path) == ("POST", "/v1/serials"):
            return self.post_serial(body)
        kind, _slash, name = self.path.removeprefix("/v1/").partition("/")
        if not self.path.startswith("/v1/") or not NAME.fullmatch(name):
            raise Refusal(404, "there is nothing here")
        if (self.command, kind) == ("GET", "serials"):
            return 200, self.register.look_up(name)
        if (self.command, kind) == ("DELETE", "serials"):
            self.register.void(name)
        elif (self.command, kind) == ("PUT", "tokens"):
            self.put_token(name, body)
        elif (self.command, kind) == ("DELETE", "tokens"):
            self.register.revoke_token(name)
        else:
            raise Refusal(405, "not this method")
        return 204, None

    def handle_any(self):
        try:
            status, row = self.act()
            answer = None if row is None else {"serial": row[0], **({"expires": row[3]} if row[3] else {})}
        except Refusal as refusal:
            status, answer = refusal.status, {"error": str(refusal)}
        except sqlite3.Error as error:
            self.log_error("%s", error)
            status, answer = 503, {"error": "not now"}
        data = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        if answer is not None:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


def main():
    parser = argparse.ArgumentParser(description="a plugin server for one plugin")
    for name in ("--listen", "--data", "--secret-file", "--plugin"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    with open(options.secret_file, encoding="ascii") as lines:
        Handler.keys = [base64.b64decode(line.strip().removeprefix("whsec_"), validate=True)
                        for line in lines if line.strip()]
    if not Handler.keys or min(map(len, Handler.keys)) < 24:
        parser.error("a secret is whsec_ and the base64 of 24 bytes or more")
    Handler.register = Register(options.data, options.plugin)
    host, port = options.listen.rsplit(":", 1)
    server = http.server.ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    print(json.dumps({"http": f"{host}:{server.server_port}"}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
