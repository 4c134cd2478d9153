"""Prosody as a second opinion: a server of its own, started for a test, that speaks the same standards."""

import pathlib
import shutil
import socket

from lib.certificate import Certificate
from lib.process import Process
from lib.xmpp import Client

CONFIGURATION = """
run_as_root = true
daemonize = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {direct_port} }}
modules_enabled = {{ "disco"; "roster"; "saslauth"; "tls"; "smacks"; "ping"; "time"; "version"; "offline";
                     "posix"; "register" }}
modules_disabled = {{ "s2s" }}
allow_registration = true
registration_invite_only = false
c2s_require_encryption = true
authentication = "internal_plain"
storage = "internal"
network_settings = {{ nagle = false }}
smacks_hibernation_time = 5
log = {{ info = "{folder}/prosody.log" }}
certificates = "{folder}"
VirtualHost "{domain}"
"""


def free_ports(count):
    """Ports nobody listens on now. Only for programs that cannot be told to choose one themselves."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Prosody:
    name = "prosody"

    def __init__(self, folder, domain="stoa.test"):
        self.folder = pathlib.Path(folder)
        self.domain = domain
        (self.folder / "data" / self._escape(domain) / "accounts").mkdir(parents=True)
        self.certificate = Certificate(self.folder, domain)
        self.context = self.certificate.client_context()
        port, direct_port = free_ports(2)
        self.address, self.direct_tls = ("127.0.0.1", port), ("127.0.0.1", direct_port)
        (self.folder / "prosody.cfg.lua").write_text(CONFIGURATION.format(
            folder=self.folder, port=port, direct_port=direct_port, domain=domain))
        self.process = None

    @staticmethod
    def is_installed():
        return shutil.which("prosody") is not None

    @staticmethod
    def _escape(name):
        return "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in name)

    def start(self):
        self.process = Process(["prosody", "--config", self.folder / "prosody.cfg.lua", "-F"],
                               self.folder / "output")

        def listens():
            try:
                socket.create_connection(self.address, 1).close()
                return True
            except OSError:
                return False
        self.process.wait_for(listens, what="listening")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process = None

    def add_user(self, user, password="secret-word"):
        accounts = self.folder / "data" / self._escape(self.domain) / "accounts"
        (accounts / f"{self._escape(user)}.dat").write_text(f'return {{ ["password"] = "{password}"; }};\n')

    def connect(self):
        return Client(self.address, self.domain, context=self.context)

    def connect_direct_tls(self):
        return Client(self.direct_tls, self.domain, context=self.context).tls()

    def login(self, user, resource=None, password="secret-word", **options):
        return self.connect().login(user, password, resource, **options)
