"""host-client as a user runs it: single commands, one that listens, and one on a terminal."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import threading
import time

from lib.process import program, wait_until

ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


class HostClient:
    """One account on one device: a configuration folder and how to reach the server."""

    def __init__(self, folder, server, user, password="secret-word", *, pin=True, prefix=()):
        """`prefix`: what to run the program under, such as setpriv."""
        self.folder, self.server, self.user, self.password = folder, server, user, password
        self.prefix = list(prefix)
        self.address = server.address
        self.pin = server.certificate.sha256() if pin else None

    @property
    def jid(self):
        return f"{self.user}@{self.server.domain}"

    def arguments(self, password_fd, words):
        fixed = [*self.prefix, program("host-client"), "--account", self.jid, "--config", self.folder, "--password-fd", password_fd,
                 "--server", "%s:%d" % self.address]
        if self.pin:
            fixed += ["--pin", self.pin]
        return [str(word) for word in fixed + list(words)]

    def password_pipe(self):
        read, write = os.pipe()
        os.write(write, self.password.encode() + b"\n")
        os.close(write)
        return read

    def spawn(self, *words):
        read = self.password_pipe()
        process = subprocess.Popen(self.arguments(read, words), pass_fds=[read], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.close(read)
        return process

    def run(self, *words, timeout=40):
        """One command: (exit code, objects it printed, standard error)."""
        process = self.spawn("--json", *words)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"host-client {words} did not end:\n{out}\n{err}") from None
        return process.returncode, [json.loads(line) for line in out.splitlines()], err

    def must(self, *words, **options):
        """A command that must succeed: what it printed."""
        code, objects, err = self.run(*words, **options)
        assert code == 0, f"host-client {words}: exit {code}: {objects} {err}"
        return objects

    def listen(self):
        return Listener(self.spawn("--json", "listen"))

    def terminal(self, *words, has_password=True):
        return Terminal(self, words, has_password)


class Listener:
    """`listen` at work: the objects it prints, in order."""

    def __init__(self, process):
        self.process = process
        self.objects = []
        self.errors = []
        self.threads = [threading.Thread(target=self._read, daemon=True),
                        threading.Thread(target=lambda: self.errors.append(process.stderr.read()), daemon=True)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.objects.append(json.loads(line))

    def events(self, name):
        return [one for one in self.objects if one.get("event") == name]

    def bodies(self):
        return [one["body"] for one in self.events("message")]

    def wait(self, name, count=1, timeout=15):
        """The count-th event of that name."""
        wait_until(lambda: len(self.events(name)) >= count, timeout, f"{count} × {name} (had {self.objects})")
        return self.events(name)[count - 1]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        for thread in self.threads:
            thread.join()
        return status


class Terminal:
    """The interactive client on a terminal of its own. What it shows is kept without escape sequences."""

    def __init__(self, client, words=(), has_password=True):
        """Without `has_password` the program has to ask for it."""
        read = client.password_pipe()
        argv = client.arguments(read, words)
        if not has_password:
            place = argv.index("--password-fd")
            del argv[place:place + 2]
        self.raw = b""
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.set_inheritable(read, True)
            os.environ["TERM"] = "xterm"
            os.environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
            os.execvp(argv[0], argv)
        os.close(read)

    def text(self):
        while select.select([self.fd], [], [], 0)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.raw += data
        return ESCAPES.sub(b"", self.raw).decode("utf-8", "replace").replace("\r", "")

    def wait(self, words, timeout=15):
        """Waits until the screen has shown the words."""
        wait_until(lambda: words in self.text(), timeout, f"{words!r} on the screen, which shows:\n{self.text()}")

    def type(self, line):
        os.write(self.fd, line.encode())

    def enter(self, line):
        self.type(line + "\n")

    def end(self, timeout=15):
        """Its exit status, once it has ended by itself."""
        end = time.monotonic() + timeout
        while self.status is None and time.monotonic() < end:
            self.text()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.text()
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.status = "killed by the test"
        return self.status

    def kill(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.status = -signal.SIGKILL
