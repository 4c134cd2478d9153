"""Requests changed at random, cut, repeated and reset: the HTTP server neither falls nor leaks (the sanitizers tell at its
end), and serves the next one. A number of seeds is fixed, so that a failure can be repeated."""

import http.client
import json
import random
import socket
import struct
import threading
import time

import pytest

from lib.billing import KEY, Stub
from lib.process import wait_until
from lib.vendor import PluginServer

SECONDS = 4
N_THREADS = 8


@pytest.fixture
def stub(tmp_path):
    stub = Stub(tmp_path).start()
    yield stub
    stub.stop()


@pytest.fixture
def vendor(tmp_path):
    vendor = PluginServer(tmp_path, "weather").start()
    yield vendor
    vendor.stop()


def seeds(stub, vendor):
    order = json.dumps(stub.order("http://127.0.0.1:9/x"))
    checkout = stub.checkout("http://127.0.0.1:9/x")["checkout"]
    serial = '{"request":"ol_1.1","plugin":"weather","user":"k","term":"P1Y"}'
    signed = "".join(f"{name}: {value}\r\n"
                     for name, value in vendor.headers("POST", "/v1/serials", serial.encode()).items())
    return [(address, text.encode()) for address, text in [
        (stub.address, f"POST /v1/checkouts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nIdempotency-Key: k\r\n"
                       f"Content-Length: {len(order)}\r\n\r\n{order}"),
        (stub.address, f"GET /pay/{checkout} HTTP/1.1\r\nHost: x\r\n\r\n"),
        (stub.address, f"POST /pay/{checkout} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "5\r\ntoken\r\n6\r\n=a&b=c\r\n0\r\n\r\n"),
        (vendor.address, f"POST /v1/serials HTTP/1.1\r\nHost: x\r\n{signed}Content-Length: {len(serial)}\r\n\r\n{serial}"),
        (vendor.address, "GET /v1/weather?place=Lis%62on&x=%zz&&=&a HTTP/1.0\r\nX-Session: x\r\n\r\n"),
        (vendor.address, "DELETE /v1/serials/a%2Fb HTTP/1.1\r\nHost: x\r\nwebhook-id: a\r\nwebhook-id: b\r\n\r\n"),
    ]]


def change(dice, request):
    request = bytearray(request)
    for _i in range(dice.choice([0, 0, 1, 1, 2, 5])):
        at = dice.randrange(len(request))
        match dice.randrange(4):
            case 0:
                request[at] = dice.randrange(256)
            case 1:
                del request[at:at + dice.randrange(20)]
            case 2:
                request[at:at] = dice.randbytes(dice.randrange(20))
            case 3:
                request[at:at] = request[:dice.randrange(len(request))]
        request = request or bytearray(b"x")
    return request[:dice.randrange(len(request) + 1)] if dice.random() < 0.3 else request


def throw(dice, address, request):
    host, port = address.split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=0.2) as link:
            for _i in range(dice.choice([1, 1, 2, 3])):
                link.sendall(request)
            if dice.random() < 0.5:
                link.shutdown(socket.SHUT_WR)
            if dice.random() < 0.7:
                link.recv(4096)
            if dice.random() < 0.1:  # a reset in place of an end
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass


def test_changed_requests_do_no_harm(stub, vendor):
    requests = seeds(stub, vendor)
    end = time.monotonic() + SECONDS
    counts = [0] * N_THREADS

    def work(seed):
        dice = random.Random(seed)
        while time.monotonic() < end:
            address, request = dice.choice(requests)
            throw(dice, address, change(dice, request))
            counts[seed] += 1

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(counts) > 10

    def serves(ask):
        try:
            return ask()[0] == 201
        except (ConnectionError, http.client.HTTPException):
            return False  # what we left behind still counts against our address
    order = stub.order("http://127.0.0.1:9/x")
    wait_until(lambda: serves(lambda: vendor.issue("ol_after.1")), 20, "plugin-server answering")
    wait_until(lambda: serves(lambda: stub.call("POST", "/v1/checkouts", order, key="after")), 20, "billing-stub answering")
