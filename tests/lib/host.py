"""host-server as a test runs it: a configuration file of its own, a data folder, ports chosen by the kernel,
and hostctl to talk to it."""

import json
import pathlib
import subprocess

from lib.certificate import Certificate
from lib.process import Process, program
from lib.xmpp import Client


def key_file(groups):
    """{group: {key: value}} as a GKeyFile; a value of None leaves the key out."""
    lines = []
    for group, keys in groups.items():
        lines.append(f"[{group}]")
        lines += [f"{key}={value}" for key, value in keys.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


def split_address(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


class HostctlError(Exception):
    def __init__(self, run):
        super().__init__(f"hostctl {' '.join(run.args[3:])}: exit {run.returncode}: {run.stdout}{run.stderr}")
        self.status, self.stdout, self.stderr = run.returncode, run.stdout, run.stderr


class Host:
    name = "stoa"

    def __init__(self, folder, domain="stoa.test", config=None):
        """`config`: {group: {key: value}} laid over the defaults below."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.domain = domain
        self.data = self.folder / "data"
        self.data.mkdir(exist_ok=True)
        self.certificate = Certificate(self.folder, domain)
        self.context = self.certificate.client_context()
        self.groups = {
            "server": {"domain": domain, "data": self.data},
            "xmpp": {"listen": "127.0.0.1:0", "direct_tls_listen": "127.0.0.1:0",
                     "certificate": self.certificate.certificate, "private_key": self.certificate.private_key},
            "http": {"listen": "127.0.0.1:0"},
        }
        for group, keys in (config or {}).items():
            self.groups.setdefault(group, {}).update(keys)
        self.config_path = self.folder / "host.conf"
        self.process = None
        self.addresses = None
        self.write_config()

    # --- the process

    def write_config(self):
        self.config_path.write_text(key_file(self.groups))

    def spawn(self, **options):
        """Starts the program without waiting for it; for starts that must fail."""
        (self.data / "addresses.json").unlink(missing_ok=True)
        self.process = Process([program("host-server"), "--config", self.config_path], self.folder / "output",
                               **options)
        return self.process

    def start(self, **options):
        self.spawn(**options)

        def bound():
            try:
                return json.loads((self.data / "addresses.json").read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return None
        self.addresses = self.process.wait_for(bound, what="listening")
        self.address = split_address(self.addresses["xmpp"])
        self.direct_tls = split_address(self.addresses["direct_tls"]) if "direct_tls" in self.addresses else None
        return self

    def stop(self):
        """A clean end: exit status 0 after SIGTERM. Sanitizers' findings, leaks among them, fail here."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if not process.is_running():
            process.fail(f"had ended by itself with {process.popen.returncode}")
        status = process.terminate()
        if status != 0:
            process.fail(f"ended with {status}")

    def kill(self):
        """kill -9."""
        process, self.process = self.process, None
        if not process.is_running():
            process.fail(f"had ended by itself with {process.popen.returncode}")
        process.kill()

    def restart(self, *, hard=False):
        self.kill() if hard else self.stop()
        return self.start()

    def fail_start(self, timeout=10):
        """A start that must be refused: (exit status, output)."""
        process = self.spawn()
        status = process.popen.wait(timeout)
        self.process = None
        return status, process.log()

    # --- administration

    def hostctl(self, *arguments, stdin="", check=True):
        run = subprocess.run([program("hostctl"), "--config", self.config_path, *map(str, arguments)],
                             input=stdin, capture_output=True, text=True, timeout=30)
        if check and run.returncode != 0:
            raise HostctlError(run)
        return run

    def hostctl_json(self, *arguments, stdin=""):
        return [json.loads(line) for line in self.hostctl(*arguments, "--json", stdin=stdin).stdout.splitlines()]

    def add_user(self, user, password="secret-word"):
        self.hostctl("user", "add", f"{user}@{self.domain}", stdin=password + "\n")

    # --- clients

    def connect(self):
        return Client(self.address, self.domain, context=self.context)

    def connect_direct_tls(self):
        return Client(self.direct_tls, self.domain, context=self.context).tls()

    def login(self, user, resource=None, password="secret-word", **options):
        return self.connect().login(user, password, resource, **options)
