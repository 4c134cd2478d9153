"""A market for benchmarks: a store with its plugins and accounts, filled or new, and runs of `purchases` on it, the server on
one core and the load, provider and buyers, on another."""

import base64
import json
import os
import subprocess
import sys

from bench.peers import DOMAIN, on_core
from bench.store import fill
from lib.host import Host, key_file
from lib.process import BUILD, program

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
SOURCES = {"pool": {"source": "pool"}, "keygen": {"source": "keygen", "module": "libweather-keygen.so"}}
N_KEYS = 60000
KEYS_AT_ONCE = 2000


def say(text):
    print(text, file=sys.stderr, flush=True)


def configure(port):
    limits = {key: "0" for key in ["streams_per_address", "stanzas_per_s", "bytes_per_s", "bytes_per_s_before_login",
                                   "registrations_per_hour", "http_connections_per_address", "orders_per_user_per_day"]}
    modules = {"folder": BUILD / "keygen-modules"}
    if os.geteuid() == 0:
        modules["uid_base"] = 61000
    return {"xmpp": {"tls": "optional"}, "registration": {"open": "true"}, "limits": limits, "modules": modules,
            "billing bench": {"type": "standard", "mode": "live", "merchant": "bench", "base": f"http://127.0.0.1:{port}",
                              "api_key": "key", "webhook_secret": SECRET},
            "market": {"poll_s": "600"}}


class Market:
    """A store of its own: its plugins and accounts, and what it holds already."""

    def __init__(self, folder, settings, orders, accounts):
        self.folder, self.settings = folder, settings
        host = Host(folder, DOMAIN, configure(1))
        host.start()
        try:
            host.hostctl("vendor", "add", "acme")
            for source, serial in SOURCES.items():
                path = folder / "file"
                path.write_text(key_file({"Plugin": {"id": source, "name": source, "vendor": "acme", "version": "1",
                                                     "summary": source, "price": 499, "currency": "EUR", "term": "P1M"},
                                          "Serial": serial}))
                host.hostctl("plugin", "add", path)
            for first in range(0, N_KEYS, KEYS_AT_ONCE):
                path.write_text("".join(f"KEY-{number:08}\n" for number in range(first, first + KEYS_AT_ONCE)))
                host.hostctl("pool", "import", "pool", path)
            subprocess.run([program("load"), "--mode", "register", "--domain", DOMAIN, "--port", str(host.address[1]),
                            "--clients", str(settings.clients)], check=True, stdout=subprocess.DEVNULL)
        finally:
            host.stop()
        if orders:
            fill(host.data / "market.db", orders, accounts, say)

    def measure(self, source, rate, beside=None):
        """The figures of one run; `beside (host)` may bring up something that runs meanwhile, and returns what ends it."""
        load = subprocess.Popen(
            [program("purchases"), "--plugin", source, "--clients", str(self.settings.clients), "--seconds",
             str(self.settings.seconds), "--rate", str(rate)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=on_core(1))
        host = Host(self.folder, DOMAIN, configure(json.loads(load.stdout.readline())["port"]))
        try:
            host.start(preexec=on_core(0))
            end = beside(host) if beside else lambda: None
            http_port = host.addresses["http"].rsplit(":", 1)[1]
            out, _ = load.communicate(f"{host.address[1]} {http_port} {host.process.pid}\n", timeout=300)
            if load.returncode != 0:
                raise RuntimeError(f"{source}: no figure")
            end()
            say(out.strip())
            return json.loads(out)
        finally:
            if load.poll() is None:
                load.kill()
            host.stop()
