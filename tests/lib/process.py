"""Programs started by a test: each writes its output to a file, and every one is ended by the test that
started it. A program that ends by itself, or that does not end when told, fails the test."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("STOA_BUILD", ROOT / "build"))


def program(name):
    """The path of a program of this project in the build folder under test."""
    found = [path for path in sorted(BUILD.rglob(name)) if path.is_file() and os.access(path, os.X_OK)]
    if not found:
        raise FileNotFoundError(f"{name} is not in {BUILD}: build first")
    return found[0]


def wait_until(condition, timeout=10, what="the condition"):
    """Returns the first true value of condition (); fails after the time-out."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(0.01)


class Process:
    """One running program; standard output and error go to LOG."""

    def __init__(self, argv, log, *, cwd=None, env=None, preexec=None):
        self.argv = [str(arg) for arg in argv]
        self.log_path = pathlib.Path(log)
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as out:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                                          env={**os.environ, **(env or {})}, preexec_fn=preexec)

    @classmethod
    def listening(cls, argv, log, timeout=20):
        """(process, the JSON of its first line) of a program that listens. At the port of an earlier run it may find somebody
        else's connection, which took that port on its way out: it is started again until that is over."""
        end = time.monotonic() + timeout
        while True:
            process = cls(argv, log)
            try:
                return process, process.first_json()
            except AssertionError:
                if "Address already in use" not in process.log() or time.monotonic() > end:
                    raise
            time.sleep(0.2)

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        """What this run of the program has written so far."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode("utf-8", "replace")

    def is_running(self):
        return self.popen.poll() is None

    def fail(self, what):
        raise AssertionError(f"{self.argv[0]}: {what}; its output:\n{self.log()[-8000:]}")

    def wait_for(self, condition, timeout=30, what="ready"):
        def check():
            if not self.is_running():
                self.fail(f"ended with {self.popen.returncode} before it was {what}")
            return condition()
        try:
            return wait_until(check, timeout, what)
        except TimeoutError as error:
            self.fail(str(error))

    def first_json(self, timeout=30):
        """The JSON object on the first line a program prints."""
        def read():
            for line in self.log().splitlines(keepends=True):
                if line.startswith("{") and line.endswith("\n"):
                    return json.loads(line)
            return None
        return self.wait_for(read, timeout, "printing its address")

    def terminate(self, timeout=20):
        """SIGTERM, and its exit status."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            self.fail(f"still there {timeout} s after SIGTERM")

    def kill(self):
        self.popen.kill()
        self.popen.wait()


def hold_port(address):
    """Keeps "host:port" from other programs, which would answer for the one that has gone: connections are refused until
    the socket is closed."""
    host, port = address.rsplit(":", 1)
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of before may not be over
    held.bind((host, int(port)))
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return held


class HttpProgram:
    """A program that is asked over HTTP, one run of it at a time. Its port stays its own when it has ended."""

    process = address = held = None

    def listen(self, argv, log):
        """Starts it. Its first line says where it listens."""
        if self.held is not None:
            self.held.close()
        self.process, said = Process.listening(argv, log)
        self.address = said["http"]
        return self

    def stop(self):
        process, self.process = self.process, None
        if process is not None and process.terminate() != 0:
            process.fail(f"ended with {process.popen.returncode}")
        if process is not None:
            self.held = hold_port(self.address)

    def kill(self):
        self.process.kill()
        self.process = None
        self.held = hold_port(self.address)

    def request(self, method, path, body=None, headers=None):
        """(the answer, its text), one connection a request."""
        connection = http.client.HTTPConnection(self.address, timeout=20)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer, text
