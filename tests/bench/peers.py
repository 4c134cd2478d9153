"""The servers that `compare` measures, each started by itself on one core, with an ECDSA P-256 certificate, the same
SCRAM hash, open registration and no throttles. What each package loads by default stays loaded, less what listens on
other ports or talks to other servers."""

import os
import pathlib
import socket
import subprocess

from lib.certificate import Certificate
from lib.host import Host
from lib.process import Process, program
from lib.prosody import free_ports

DOMAIN = "bench.test"

PROSODY = """
run_as_root = true
daemonize = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
network_backend = "epoll"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {direct_port} }}
modules_enabled = {{
  "disco"; "roster"; "saslauth"; "tls"; "blocklist"; "bookmarks"; "carbons"; "dialback"; "pep"; "private"; "smacks";
  "vcard4"; "vcard_legacy"; "csi_simple"; "invites"; "invites_adhoc"; "invites_register"; "ping"; "register"; "time";
  "uptime"; "version"; "admin_adhoc"; "admin_shell"; "posix"; }}
modules_disabled = {{ "s2s" }}
allow_registration = true
registration_invite_only = false
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_hashed"
password_hash = "{hash}"
storage = "internal"
{tuning}
log = {{ info = "{folder}/prosody.log"; error = "{folder}/prosody.err" }}
certificates = "{folder}"
VirtualHost "{domain}"
"""

# With more active users than the cache's default of 64, every message looks for block lists on disk; and the
# default collector takes about half of the CPU time.
TUNING = """
blocklist_cache_size = 10000
gc = { mode = "generational" }
"""

EJABBERD = """
loglevel: info
log_rotate_count: 0
hosts: ["{domain}"]
certfiles: ["{folder}/both.pem"]
listen:
  - {{ port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none, access: all,
      starttls: true, starttls_required: false, backlog: 1024 }}
  - {{ port: {direct_port}, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none, access: all,
      tls: true, backlog: 1024 }}
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
s2s_access: none
auth_password_format: scram
auth_scram_hash: {hash}
registration_timeout: infinity
acl: {{ local: {{ user_regexp: "" }} }}
access_rules: {{ local: {{ allow: local }} }}
shaper_rules: {{ max_user_sessions: 10, max_user_offline_messages: 100 }}
modules:
  mod_adhoc: {{}}
  mod_admin_extra: {{}}
  mod_announce: {{}}
  mod_avatar: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_configure: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_muc: {{ access: all, access_create: local }}
  mod_muc_admin: {{}}
  mod_offline: {{ access_max_user_messages: max_user_offline_messages }}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub: {{ plugins: [flat, pep] }}
  mod_push: {{}}
  mod_push_keepalive: {{}}
  mod_register: {{ access: all, access_from: all, ip_access: all }}
  mod_roster: {{ versioning: true }}
  mod_shared_roster: {{}}
  mod_sic: {{}}
  mod_stream_mgmt: {{ resend_on_timeout: if_offline }}
  mod_vcard: {{ search: false }}
  mod_vcard_xupdate: {{}}
  mod_version: {{}}
"""


def on_core(core):
    return lambda: os.sched_setaffinity(0, {core})


def wait_for_port(process, port):
    def listens():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False
    process.wait_for(listens, 60, "listening")


class Peer:
    """`ports` maps the load generator's --tls to a port."""

    def __init__(self, folder, mechanism, core):
        self.folder, self.mechanism, self.core = pathlib.Path(folder), mechanism, core
        self.folder.mkdir(parents=True)
        self.hash = mechanism.removeprefix("SCRAM-")
        self.certificate = Certificate(self.folder, DOMAIN)
        port, direct_port = free_ports(2)
        self.ports = {"none": port, "direct": direct_port}
        self.process = None

    def fill(self, text, **more):
        return text.format(folder=self.folder, domain=DOMAIN, port=self.ports["none"],
                           direct_port=self.ports["direct"], **more)

    def stop(self):
        self.process.terminate()

    @property
    def pid(self):
        return self.process.pid


class ProsodyPeer(Peer):
    name, tuning = "Prosody", ""

    def start(self):
        config = self.folder / "prosody.cfg.lua"
        config.write_text(self.fill(PROSODY, hash=self.hash, tuning=self.tuning))
        self.process = Process(["prosody", "--config", config, "-F"], self.folder / "output", preexec=on_core(self.core))
        wait_for_port(self.process, self.ports["none"])


class TunedProsodyPeer(ProsodyPeer):
    name, tuning = "Prosody tuned", TUNING


class EjabberdPeer(Peer):
    name = "ejabberd"

    def start(self):
        both = self.certificate.certificate.read_text() + self.certificate.private_key.read_text()
        (self.folder / "both.pem").write_text(both)
        config = self.folder / "ejabberd.yml"
        config.write_text(self.fill(EJABBERD, hash={"SHA-1": "sha", "SHA-256": "sha256"}[self.hash]))
        libraries = subprocess.run(["dpkg-architecture", "-qDEB_HOST_MULTIARCH"], capture_output=True, text=True,
                                   check=True).stdout.strip()
        environment = {"HOME": str(self.folder), "EJABBERD_CONFIG_PATH": str(config),
                       "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
                       "ERL_CRASH_DUMP": str(self.folder / "erl_crash.dump"), "ERL_MAX_PORTS": "32000",
                       "ERL_MAX_ETS_TABLES": "1400", "ERL_LIBS": f"/usr/lib/{libraries}", "SCRIPT_DIR": "/usr/sbin"}
        # What ejabberdctl runs, without a node name (so without epmd) and with one scheduler for the one core.
        self.process = Process(["erl", "+K", "true", "+P", "250000", "+S", "1:1", "-noinput", "-mnesia", "dir",
                                f'"{self.folder}/data"', "-ejabberd", "log_rotate_count", "0", "-s", "ejabberd"],
                               self.folder / "output", env=environment, preexec=on_core(self.core))
        wait_for_port(self.process, self.ports["none"])


class StoaPeer(Peer):
    name = "Stoa"

    def start(self):
        limits = {key: "0" for key in ["streams_per_address", "streams", "sessions_per_account", "stanzas_per_s",
                                       "bytes_per_s", "bytes_per_s_before_login", "unacked_stanzas",
                                       "login_attempts", "login_failures_per_minute",
                                       "registrations_per_hour"]}
        self.host = Host(self.folder / "host", DOMAIN, {
            "xmpp": {"tls": "optional"}, "registration": {"open": "true"}, "limits": limits})
        self.host.start(preexec=on_core(self.core))
        self.process = self.host.process
        self.ports = {"none": self.host.address[1], "direct": self.host.direct_tls[1]}

    def stop(self):
        self.host.stop()


class RelayPeer:
    """The floor: one relay process for each kind of transport and use."""
    name = "relay"

    def __init__(self, folder, _mechanism, core):
        self.folder, self.core = pathlib.Path(folder), core
        self.folder.mkdir(parents=True)
        self.certificate = Certificate(self.folder, DOMAIN)
        self.process = None

    def start_for(self, tls, is_echo):
        self.stop()
        arguments = ["--echo"] if is_echo else []
        if tls != "none":
            arguments += ["--tls", self.certificate.certificate, self.certificate.private_key]
        self.process = Process([program("relay"), *arguments], self.folder / "output", preexec=on_core(self.core))
        self.ports = {tls: self.process.first_json()["port"]}

    def start(self):
        pass

    def stop(self):
        if self.process:
            self.process.kill()
            self.process = None

    @property
    def pid(self):
        return self.process.pid


PEERS = {"stoa": StoaPeer, "prosody": ProsodyPeer, "prosody-tuned": TunedProsodyPeer, "ejabberd": EjabberdPeer,
         "relay": RelayPeer}
