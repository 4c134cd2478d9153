"""Packages of plugins as a vendor makes them: a plugin of its own for each, versions of it, and what can be wrong with
them."""

import contextlib
import http.client
import itertools
import os
import pathlib
import subprocess
import tempfile

from lib.client import HostClient
from lib.process import ROOT, program

TOKENS = "urn:stoa:tokens:1"
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

_numbers = itertools.count(1)

# Its command says which version runs; every serial will do.
SOURCE = """
#include <stdio.h>
int packed_check (const char *serial) { return serial == NULL || *serial == 0 ? -2 : 0; }
int packed_version (const char *input, char *output, int size) { return snprintf (output, size, "%s", VERSION) < 0; }
"""

DESCRIPTOR = """[Plugin]
format=1
id={id}
name={name}
version={version}
object=lib{id}.so
sha256=@SHA256@

[Permissions]
data={data}

[Symbols]
check=int packed_check (cstr serial)

[Return check]
0=ok
-2=bad-serial

[Return {id}]
0=ok

[Command {id}]
call=int packed_version (cstr input, buf 256 output, i32 sizeof(output))
help=Says which version it is
"""


class VendorKey:
    def __init__(self, folder):
        self.path = pathlib.Path(folder) / f"vendor.{next(_numbers)}.key"
        self.text = subprocess.run([program("host-module-check"), "keygen-key", self.path], check=True, text=True,
                                   capture_output=True).stdout.strip()


def plugin_folder(parent, plugin, version, data="4K", change=str):
    """A plugin's files as its vendor has them; `change` is made to its descriptor."""
    folder = pathlib.Path(parent) / f"{plugin}-{version}.{next(_numbers)}"
    folder.mkdir(parents=True)
    (folder / ".source.c").write_text(SOURCE)
    (folder / ".template").write_text(change(DESCRIPTOR.format(id=plugin, name=plugin.capitalize(), version=version,
                                                               data=data)))
    target = folder / f"lib{plugin}.so"
    subprocess.run(["cc", "-shared", "-fPIC", f'-DVERSION="{version}"', "-o", target, folder / ".source.c"], check=True)
    subprocess.run([ROOT / "vendor-kit/plugins/describe", folder / ".template", target, folder / f"{plugin}.legacy"],
                   check=True)
    (folder / "LICENCE").write_text("Do as you like.\n")
    return folder


def pack(folder, key, *options):
    """The package of a folder, beside it."""
    path = folder.with_name(folder.name + ".stoa")
    subprocess.run([program("host-module-check"), "pack", folder, "--key", key.path, "-o", path, *options], check=True,
                   capture_output=True)
    return path


@contextlib.contextmanager
def open_ground():
    """A folder that whoever runs the client can enter: plugins are for users, and root is not one."""
    with tempfile.TemporaryDirectory(prefix="stoa-packages-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


def make_device(shop, ground, user=None):
    """A client in a folder of its own, run by nobody if the tests are root's."""
    folder = ground / f"device.{next(_numbers)}"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    return HostClient(folder, shop.host, user or shop.user("client"), prefix=AS_NOBODY if os.geteuid() == 0 else ())


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

    def pack(self, version, *options, key=None, **descriptor):
        return pack(plugin_folder(self.ground, self.id, version, **descriptor), key or self.key, *options)

    def offer(self, version, *options, **descriptor):
        [added] = self.shop.host.hostctl_json("package", "add", self.pack(version, *options, **descriptor))
        return added


def runs(one, plugin):
    """The version that runs when the plugin is used."""
    objects = one.must("plugin", "use", plugin, "--yes", "--", plugin)
    return [found["text"] for found in objects if found.get("event") == "result"]


def token_of(customer):
    answer = customer.ask("set", f"<account-token xmlns='{TOKENS}'/>")
    assert answer.get("type") == "result", answer
    return answer[0].text


def fetch(shop, path, token=None, **headers):
    connection = http.client.HTTPConnection(shop.host.addresses["http"], timeout=10)
    try:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def package_path(line, version):
    return f"/v1/plugins/{line.id}/{version}/{line.id}-{version}.stoa"
