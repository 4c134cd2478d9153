"""host-server under test, one for each file of tests, accounts that no other test uses, and who comes into a shop.

With --server prosody the same tests run against Prosody: where it refuses what a test expects, one of the two is
wrong, and the standard decides."""

import functools
import itertools
import os
import pathlib
import tempfile

import pytest

from lib.device import make_device
from lib.host import Host
from lib.prosody import Prosody

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def host(request, tmp_path_factory):
    """A running server. A file of tests may set CONFIG = {group: {key: value}}."""
    folder = tmp_path_factory.mktemp("host")
    if request.config.getoption("--server") == "prosody":
        server = Prosody(folder).start()
    else:
        server = Host(folder, config=getattr(request.module, "CONFIG", None)).start()
    yield server
    server.stop()


@pytest.fixture
def own_host(tmp_path):
    """A server of this test alone, not yet started; it is stopped in the end if it runs."""
    server = Host(tmp_path / "own")
    yield server
    server.stop()


@pytest.fixture
def account(host):
    """Makes accounts: account ("alice") → a name like alice.7 with the password secret-word."""
    def make(name="user"):
        name = f"{name}.{next(_numbers)}"
        host.add_user(name)
        return name
    return make


@pytest.fixture
def client(host):
    """Connects clients and closes them in the end."""
    clients = []

    def connect():
        clients.append(host.connect())
        return clients[-1]
    yield connect
    for one in clients:
        one.close()


@pytest.fixture
def session(client, account):
    """Logs in: session () → a bound session of a new account; session ("alice.7", "phone") of a given one."""
    def login(user=None, resource=None, **options):
        return client().login(user or account(), "secret-word", resource, **options)
    return login


@pytest.fixture
def started():
    """Starts what a test made, a shop or another party, and stops it in the end."""
    parties = []

    def start(party):
        parties.append(party)
        return party.start()
    yield start
    for party in parties:
        party.stop()


@pytest.fixture
def enter():
    """Lets a customer enter a shop: enter (shop, "alice.7", "phone") → one who listens for their serials."""
    customers = []

    def enter_shop(shop, *arguments):
        customers.append(shop.customer(*arguments))
        customers[-1].serials()
        return customers[-1]
    yield enter_shop
    for one in customers:
        one.close()


@pytest.fixture
def customer(shop, enter):
    """Customers of the `shop` that a file of tests opens: customer ()."""
    return functools.partial(enter, shop)


@pytest.fixture
def ground():
    """A folder that whoever runs the client can enter: plugins are for users, and root is not one."""
    with tempfile.TemporaryDirectory(prefix="stoa-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


@pytest.fixture
def device(shop, ground):
    """A device of a new account, or another one of `user`'s, with plugins installed."""
    def make(*descriptors, user=None):
        one = make_device(ground, shop.host, user or shop.user("client"))
        for descriptor in descriptors:
            one.must("plugin", "install", descriptor, "--yes")
        return one
    return make
