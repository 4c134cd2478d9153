"""Packages of plugins from the vendor's key to the running plugin: signed, offered, downloaded with an account token,
installed, upgraded, rolled back, revoked."""

import itertools
import os
import pathlib
import tempfile

import pytest

from lib.client import HostClient
from lib.market import Shop
from lib.package import VendorKey, pack, plugin_folder

_numbers = itertools.count(1)
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("shop"))
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture
def ground():
    """A folder that whoever runs the client can enter: plugins are for users, and root is not one."""
    with tempfile.TemporaryDirectory(prefix="stoa-packages-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


@pytest.fixture
def device(shop, ground):
    def make(user=None):
        folder = ground / f"device.{next(_numbers)}"
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        return HostClient(folder, shop.host, user or shop.user("client"), prefix=AS_NOBODY if os.geteuid() == 0 else ())
    return make


class Line:
    """A vendor's plugin on sale for nothing, and the key its packages are signed with."""

    def __init__(self, shop, ground):
        self.shop, self.ground = shop, ground
        self.id = f"packed{next(_numbers)}"
        shop.plugin(self.id, source="pool", price=0)
        shop.fill(self.id, [f"SERIAL-{self.id}-{number}" for number in range(20)])
        self.key = self.add_key()

    def add_key(self, *options):
        key = VendorKey(self.ground)
        self.shop.host.hostctl("vendor", "key", "add", "acme", key.text, *options)
        return key

    def pack(self, version, *options, key=None):
        return pack(plugin_folder(self.ground, self.id, version), key or self.key, *options)

    def offer(self, version, *options):
        [added] = self.shop.host.hostctl_json("package", "add", self.pack(version, *options))
        return added


@pytest.fixture
def line(shop, ground):
    return Line(shop, ground)


def runs(one, plugin):
    """The version that runs when the plugin is used."""
    objects = one.must("plugin", "use", plugin, "--yes", "--", plugin)
    return [found["text"] for found in objects if found.get("event") == "result"]


def installed(one):
    return {found["id"]: found["version"] for found in one.must("plugin", "list")}


def test_a_package_is_packed_offered_installed_and_run(line, device):
    line.offer("1.0")
    one = device()
    objects = one.must("plugin", "install", line.id)
    assert [(found["event"], found["version"]) for found in objects] == [("asks", "1.0"), ("installed", "1.0")]
    assert runs(one, line.id) == ["1.0"]
