"""A device with host-client on it, as a user has it: a folder of its own and, as plugins are for users and root is not one,
a user of its own."""

import itertools
import os
import pathlib
import subprocess

from lib.client import HostClient
from lib.process import BUILD, ROOT

_numbers = itertools.count(1)

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def make_device(ground, server, user):
    """`ground`: a folder that anybody may enter."""
    folder = pathlib.Path(ground) / f"device.{next(_numbers)}"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    return HostClient(folder, server, user, prefix=AS_NOBODY if os.geteuid() == 0 else ())


def ship(ground, template, target):
    """Lays a plugin out as its vendor ships it, the object and the descriptor made from `template`: the descriptor's
    path."""
    template, target = pathlib.Path(template), pathlib.Path(target)
    folder = pathlib.Path(ground) / f"vendor.{next(_numbers)}"
    folder.mkdir()
    (folder / target.name).write_bytes(target.read_bytes())
    described = folder / template.name.removesuffix(".in")
    subprocess.run([ROOT / "vendor-kit/plugins/describe", template, folder / target.name, described], check=True)
    return described


def ship_sample(ground, name):
    """A sample of vendor-kit/plugins."""
    return ship(ground, ROOT / f"vendor-kit/plugins/{name}/{name}.legacy.in",
                BUILD / f"vendor-kit/plugins/{name}/lib{name}.so")
