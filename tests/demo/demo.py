#!/usr/bin/python3
"""The main job, from the first login to a plugin's answer in a chat, with real programs on free loopback ports.

Run by ../../demo.sh. Everything lies in a new folder under /tmp; started as root, everything runs as a user of
its own without privileges. Each step says in plain words what happens and what went over the wire that matters.
"""

import contextlib
import http.client
import json
import os
import pathlib
import pwd
import random
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib.billing import Form
from lib.certificate import Certificate
from lib.host import key_file, split_address
from lib.process import BUILD, ROOT, Process, wait_until

DOMAIN = "stoa.example"
USER = "stoa-demo"
KEY, MERCHANT = "sk_demo", "stoa-demo"
WEBHOOK_SECRET = "whsec_c3RvYS1kZW1vLXdlYmhvb2stc2VjcmV0LTAx"
PASSWORD = {"alice": "wonderland-1865", "bob": "sponge-and-square"}
IS_TERMINAL = sys.stdout.isatty()


def paint(code, text):
    return f"\x1b[{code}m{text}\x1b[0m" if IS_TERMINAL else text


class Demo:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stoa-demo-"))
        self.folder.chmod(0o755)
        self.processes = []
        self.step_number = 0
        self.prefix = []
        self.summary = []

    # --- telling

    def step(self, text):
        self.step_number += 1
        print(f"\n{paint(1, f'{self.step_number}. {text}')}", flush=True)

    def tell(self, text):
        print(f"   {text}", flush=True)

    def wire(self, text):
        print(f"   {paint(36, '~ ' + text)}", flush=True)

    def fail(self, text):
        raise SystemExit(f"\ndemo: {text}\n      logs are in {self.folder}")

    # --- programs

    def become_unprivileged(self):
        """As root: a system user of the demo's own, and programs it can read wherever the checkout lies."""
        destination = self.folder / "install"
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", destination],
                       check=True, stdout=subprocess.DEVNULL)
        self.install = destination / "usr/local"
        if os.geteuid() != 0:
            return
        try:
            user = pwd.getpwnam(USER)
        except KeyError:
            subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent",
                            "--shell", "/usr/sbin/nologin", USER], check=True)
            user = pwd.getpwnam(USER)
        self.prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.uid, self.gid = user.pw_uid, user.pw_gid
        self.give_away(self.folder)

    def give_away(self, path):
        if self.prefix:
            subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", path], check=True)

    def program(self, name):
        return self.install / "bin" / name

    def start(self, name, *arguments, log=None):
        process = Process([*self.prefix, self.program(name), *arguments], self.folder / f"{log or name}.log",
                          cwd=self.folder)
        self.processes.append(process)
        return process

    def hostctl(self, *arguments, stdin=""):
        run = subprocess.run([*self.prefix, self.program("hostctl"), "--config", self.config, *map(str, arguments),
                              "--json"], input=stdin, capture_output=True, text=True, timeout=30)
        if run.returncode != 0:
            self.fail(f"hostctl {' '.join(map(str, arguments))}: {run.stdout}{run.stderr}")
        return [json.loads(line) for line in run.stdout.splitlines()]

    def client_argv(self, user, device="laptop"):
        return [self.program("host-client"), "--account", f"{user}@{DOMAIN}", "--config",
                self.folder / "devices" / f"{user}-{device}", "--server", self.xmpp, "--pin", self.pin]

    def client(self, user, *arguments, device="laptop", expect=0, on_event=None):
        """Runs host-client to its end and returns the objects it printed; on_event sees each as it comes."""
        events = []
        with Client(self, user, device, arguments) as client:
            for event in client:
                events.append(event)
                if on_event is not None:
                    on_event(event)
        if client.status != expect:
            self.fail(f"host-client {' '.join(map(str, arguments))} ended with {client.status}, not {expect}:\n"
                      f"{events}\n{client.errors()}")
        return events

    # --- the parties

    def start_host(self):
        certificate = Certificate(self.folder, DOMAIN)
        self.pin = certificate.sha256()
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        self.config = self.folder / "host.conf"
        self.config.write_text(key_file({
            "server": {"domain": DOMAIN, "data": data},
            "xmpp": {"listen": "127.0.0.1:0", "direct_tls_listen": "127.0.0.1:0",
                     "certificate": certificate.certificate, "private_key": certificate.private_key},
            "http": {"listen": "127.0.0.1:0"},
            "billing stub": {"type": "standard", "mode": "live", "merchant": MERCHANT,
                             "base": f"http://{self.billing}", "api_key": KEY, "webhook_secret": WEBHOOK_SECRET},
            "modules": {"folder": self.modules},
        }))
        self.give_away(self.folder)
        host = self.start("host-server", "--config", self.config)
        addresses = data / "addresses.json"
        self.addresses = host.wait_for(lambda: addresses.exists() and json.loads(addresses.read_text()),
                                       what="listening")
        self.xmpp = self.addresses["xmpp"]

    def start_billing(self):
        stub = self.start("billing-stub", "--listen", "127.0.0.1:0", "--data", self.folder / "ledger", "--api-key",
                          KEY, "--webhook-secret", WEBHOOK_SECRET, "--merchant", MERCHANT)
        self.billing = stub.first_json()["http"]

    def start_plugin_server(self, plugin, secret):
        server = self.start("plugin-server", "--listen", "127.0.0.1:0", "--data", self.folder / f"{plugin}-server",
                            "--secret", secret, "--plugin", plugin, log=f"plugin-server-{plugin}")
        return server.first_json()["http"]

    def press(self, url, button):
        """Opens the charging page and submits its own form, as a browser does."""
        parts = urllib.parse.urlsplit(url)

        def request(method, path, body=None, headers=None):
            connection = http.client.HTTPConnection(parts.netloc, timeout=10)
            with contextlib.closing(connection):
                connection.request(method, path, body, headers or {})
                answer = connection.getresponse()
                return answer.status, answer.read().decode()

        status, page = request("GET", parts.path)
        form = Form(page)
        if status != 200 or ("action", button) not in form.buttons:
            self.fail(f"the charging page has no button '{button}' (status {status})")
        body = urllib.parse.urlencode({**form.fields, "action": button})
        status, _ = request("POST", form.action, body, {"Content-Type": "application/x-www-form-urlencoded"})
        if status not in (200, 303):
            self.fail(f"the charging page answered {status}")
        self.wire(f"browser → billing provider: POST {form.action} action={button}")

    # --- plugins

    def plugin_files(self, plugin, address=None):
        """What the vendor ships: object and descriptor in one folder (port and hash filled in)."""
        folder = self.folder / "vendor" / plugin
        folder.mkdir(parents=True)
        source = ROOT / "vendor-kit/plugins" / plugin
        objects = list(BUILD.glob(f"vendor-kit/plugins/{plugin}/*.so"))
        if len(objects) != 1:
            self.fail(f"the sample plugin {plugin} was not built")
        shutil.copy(objects[0], folder)
        host, port = split_address(address) if address else ("127.0.0.1", 7443)
        subprocess.run([ROOT / "vendor-kit/plugins/describe", source / f"{plugin}.legacy.in",
                        folder / objects[0].name, folder / f"{plugin}.legacy", str(port), host], check=True)
        self.give_away(folder)
        return folder / f"{plugin}.legacy"

    def add_plugin(self, plugin, vendor, **keys):
        manifest = self.folder / "vendor" / f"{plugin}.manifest"
        groups = {"Plugin": {"id": plugin, "name": plugin.capitalize(), "vendor": vendor, "version": "1.0",
                             "summary": keys.pop("summary"), "price": keys.pop("price"), "currency": "EUR"},
                  "Serial": {"source": keys.pop("source"), "module": keys.pop("module", None)}}
        if "base" in keys:
            groups["PluginServer"] = {"base": keys.pop("base")}
        manifest.parent.mkdir(exist_ok=True)
        manifest.write_text(key_file(groups))
        self.give_away(manifest)
        self.hostctl("plugin", "add", manifest)

    def stop(self):
        for process in reversed(self.processes):
            if process.is_running():
                process.terminate()


class Client:
    """One run of host-client --json."""

    def __init__(self, demo, user, device, arguments):
        (demo.folder / "devices").mkdir(exist_ok=True)
        demo.give_away(demo.folder / "devices")
        self.log = open(demo.folder / f"client-{user}.log", "a+", encoding="utf-8")
        self.log_start = self.log.tell()
        argv = [*demo.prefix, *demo.client_argv(user, device), "--password-fd", "0", "--json", *map(str, arguments)]
        self.popen = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=self.log, text=True, cwd=demo.folder,
                                      env={**os.environ, "HOME": str(demo.folder)})
        self.popen.stdin.write(PASSWORD[user] + "\n")
        self.popen.stdin.close()
        self.status = None

    def __enter__(self):
        return self

    def __iter__(self):
        for line in self.popen.stdout:
            yield json.loads(line)

    def next(self, event):
        for object_ in self:
            if object_.get("event") == event:
                return object_
        raise SystemExit(f"demo: host-client ended before '{event}':\n{self.errors()}")

    def errors(self):
        self.log.flush()
        self.log.seek(self.log_start)
        return self.log.read()

    def __exit__(self, *_exception):
        if _exception[0] is not None:
            self.popen.kill()
        try:
            self.status = self.popen.wait(60)
        finally:
            self.popen.stdout.close()


# --- the story


def set_the_scene(demo):
    demo.step("The parties come up, each a process of its own, without privileges")
    demo.modules = demo.folder / "modules"
    demo.modules.mkdir()
    for module in BUILD.glob("keygen-modules/*.so"):
        shutil.copy(module, demo.modules)
    demo.give_away(demo.folder)
    demo.start_billing()
    demo.tell(f"billing-stub, the payment provider    http://{demo.billing}")
    demo.start_host()
    demo.tell(f"host-server, the messenger and market  xmpp {demo.addresses['xmpp']}, "
              f"direct TLS {demo.addresses['direct_tls']}, http {demo.addresses['http']}")
    secrets = {vendor: demo.hostctl("vendor", "add", vendor)[0]["secret"] for vendor in ("acme", "bonmot", "tabletop")}
    weather = demo.start_plugin_server("weather", secrets["acme"])
    demo.tell(f"plugin-server of acme (weather)        http://{weather}")
    quotes = demo.start_plugin_server("quotes", secrets["bonmot"])
    demo.tell(f"plugin-server of bonmot (quotes)       http://{quotes}")
    demo.add_plugin("weather", "acme", summary="Forecasts for any place", price=499, source="keygen",
                    module="libweather-keygen.so", base=f"http://{weather}")
    demo.add_plugin("quotes", "bonmot", summary="A sentence worth keeping", price=299, source="plugin-server",
                    base=f"http://{quotes}")
    demo.add_plugin("dice", "tabletop", summary="Dice for those far from a table", price=99, source="pool")
    keys = demo.folder / "dice-keys.txt"
    keys.write_text("\n".join(pool_key() for _ in range(20)) + "\n")
    demo.give_away(keys)
    demo.hostctl("pool", "import", "dice", keys)
    demo.descriptors = {"weather": demo.plugin_files("weather", weather), "quotes": demo.plugin_files("quotes", quotes),
                        "dice": demo.plugin_files("dice")}
    for user, password in PASSWORD.items():
        demo.hostctl("user", "add", f"{user}@{DOMAIN}", stdin=password + "\n")
    demo.tell("accounts alice and bob; three plugins in the catalog: one with the vendor's keygen, one whose vendor's")
    demo.tell("server makes the serials, one with a pool of 20 printed keys")


def pool_key():
    """A key as the vendor of dice prints them: 20 digits, the first a 4, the last a Luhn check digit."""
    digits = [4] + [random.randrange(10) for _ in range(18)]
    total = sum(sum(divmod(digit * 2, 10)) if index % 2 == 0 else digit for index, digit in enumerate(reversed(digits)))
    text = "".join(map(str, digits)) + str(-total % 10)
    return "-".join(text[i:i + 5] for i in range(0, 20, 5))


def chat(demo):
    demo.step("alice and bob log in and chat")
    with Client(demo, "bob", "laptop", ["listen", "--for", "30"]) as bob:
        online = bob.next("online")
        demo.wire(f"bob: TLS, SCRAM, bound as {online['jid']}")
        demo.client("alice", "send", f"bob@{DOMAIN}", "Shall we go to Lisbon?")
        message = bob.next("message")
        demo.tell(f"bob reads, from {message['from']}: {message['body']}")
        bob.popen.terminate()
    if message["body"] != "Shall we go to Lisbon?":
        demo.fail("the message arrived changed")


def buy(demo, plugin, command, source):
    demo.step(f"alice asks for {plugin}, has no serial, and registers it ({source})")
    demo.client("alice", "plugin", "install", demo.descriptors[plugin], "--yes")
    seen = {}

    def on_event(event):
        kind = event.get("event")
        if kind == "ask":
            demo.tell(f"the client: {plugin} needs to be registered. Register it? - yes ({event['reason']})")
        elif kind == "order" and event.get("state") == "awaiting-payment" and event.get("charge"):
            if "charge" not in seen:
                seen["charge"] = event["charge"]
                demo.wire(f"alice → market.{DOMAIN}: <order plugin='{plugin}'/>  →  {event['order']} {event['state']}")
                demo.tell(f"the charging page: {event['charge']}  ({event['price'] / 100:.2f} {event['currency']})")
                demo.press(event["charge"], "pay")
        elif kind == "order" and event.get("state") in ("paid", "fulfilled") and event["state"] not in seen:
            seen[event["state"]] = True
            demo.wire(f"market.{DOMAIN} → alice: <order id='{event['order']}' state='{event['state']}'/>")
        elif kind == "ready":
            demo.tell(f"{plugin} accepts its serial and is ready")
        elif kind == "result":
            seen["text"] = event["text"]
            demo.tell(f"/{command[0]} {' '.join(command[1:])} → {event['text']}")

    with Client(demo, "bob", "laptop", ["listen", "--for", "60"]) as bob:
        bob.next("online")
        demo.client("alice", "plugin", "use", plugin, "--yes", "--to", f"bob@{DOMAIN}", "--", *command,
                    on_event=on_event)
        if "charge" not in seen or "text" not in seen:
            demo.fail(f"{plugin} did not go through a purchase: {seen}")
        message = bob.next("message")
        demo.tell(f"bob reads, from alice: {message['body']}")
        bob.popen.terminate()
    if message["body"] != seen["text"]:
        demo.fail("bob did not read what the plugin answered")
    order = demo.hostctl("order", "list")
    serial = [entry for entry in demo.client("alice", "serials") if entry["plugin"] == plugin][0]
    demo.tell(f"her serials: {plugin} {serial['state']} {serial['serial']} (masked on screen)")
    demo.summary.append(f"{plugin}: bought once, serial by {source}; {len(order)} orders in the books so far")


def decline(demo):
    demo.step("bob wants weather too, sees the price, and declines on the charging page")
    seen = {}

    def on_event(event):
        if event.get("charge") and "charge" not in seen:
            seen["charge"] = event["charge"]
            demo.press(event["charge"], "decline")
        if event.get("state") == "declined":
            seen["declined"] = True

    demo.client("bob", "buy", "weather", "--yes", expect=1, on_event=on_event)
    checkout = urllib.parse.urlsplit(seen["charge"]).path.rsplit("/", 1)[1]
    connection = http.client.HTTPConnection(demo.billing, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", f"/v1/checkouts/{checkout}", headers={"Authorization": f"Bearer {KEY}"})
        ledger = json.load(connection.getresponse())
    if ledger["payments"] or ledger["status"] != "declined":
        demo.fail(f"something was charged: {ledger}")
    serials = demo.client("bob", "serials")
    if serials:
        demo.fail(f"bob has serials: {serials}")
    demo.tell(f"the provider's ledger: {ledger['status']}, {len(ledger['payments'])} payments; bob's serials: none")
    demo.summary.append("declined: nothing charged, no serial")


def second_device(demo):
    demo.step("alice logs in on a second device: the serials are simply there")
    serials = demo.client("alice", "serials", device="phone")
    for entry in serials:
        demo.tell(f"{entry['plugin']:8} {entry['state']} {entry['serial']}")
    if sorted(entry["plugin"] for entry in serials if entry["state"] == "active") != ["dice", "quotes", "weather"]:
        demo.fail(f"not all serials are there: {serials}")
    demo.client("alice", "plugin", "install", demo.descriptors["weather"], "--yes", device="phone")
    events = demo.client("alice", "plugin", "use", "weather", "--", "weather", "Porto", device="phone")
    if any(event.get("event") in ("ask", "order") for event in events):
        demo.fail("the second device was asked to buy again")
    text = [event["text"] for event in events if event.get("event") == "result"][0]
    demo.tell(f"/weather Porto → {text}   (no question, no purchase)")
    demo.summary.append("second device: all three serials, nothing asked")


def how_to_log_in(demo):
    host, port = split_address(demo.xmpp)
    _, direct = split_address(demo.addresses["direct_tls"])
    prefix = " ".join(map(str, demo.prefix))
    words = [str(word) for word in demo.client_argv("alice")]
    print(f"""
The servers stay up. Log in yourself, in another terminal:

  {prefix} {' '.join(words)}
      password: {PASSWORD['alice']}; then /help, /plugins, /weather Lisbon

  any XMPP client: account bob@{DOMAIN}, password {PASSWORD['bob']}, server {host}, port {port} (STARTTLS) or
      {direct} (direct TLS); it will ask about the certificate, SHA-256 {demo.pin[:16]}…
      profanity: /connect bob@{DOMAIN} server {host} port {port} tls trust

  {prefix} {demo.program('hostctl')} --config {demo.config} order list

Enter ends everything.""", flush=True)


def main():
    stays = IS_TERMINAL and sys.stdin.isatty() and "--once" not in sys.argv[1:]
    unknown = [word for word in sys.argv[1:] if word != "--once"]
    if unknown:
        print(f"usage: demo.sh [--once]; what is '{unknown[0]}'?", file=sys.stderr)
        return 2
    demo = Demo()
    is_good = False
    try:
        demo.become_unprivileged()
        set_the_scene(demo)
        chat(demo)
        demo.step("alice looks at what there is")
        for entry in demo.client("alice", "catalog"):
            demo.tell(f"{entry['id']:8} {entry['price'] / 100:5.2f} {entry['currency']}  {entry['summary']}")
        buy(demo, "weather", ["weather", "Lisbon"], "the vendor's keygen, in the sandbox")
        buy(demo, "quotes", ["quote", "patience"], "the vendor's plugin server")
        buy(demo, "dice", ["roll", "2d6"], "a pool of printed keys")
        decline(demo)
        second_device(demo)
        demo.step("Summary")
        for line in demo.summary:
            demo.tell(line)
        if stays:
            how_to_log_in(demo)
            with contextlib.suppress(EOFError, KeyboardInterrupt):
                input()
        is_good = True
    except KeyboardInterrupt:
        pass
    finally:
        demo.stop()
        if is_good:
            shutil.rmtree(demo.folder, ignore_errors=True)
    print("\nEverything that was started has been stopped." if is_good else "\nStopped.")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
