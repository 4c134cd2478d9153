"""Devices with native plugins: vendors' files laid out as they ship them, and clients that may run them (plugins are for
users: root runs the client as nobody)."""

import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile

from lib.client import HostClient
from lib.process import BUILD, ROOT

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []


class Ground:
    """A folder that whoever runs the client can enter."""

    def __init__(self, server):
        self.server = server
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stoa-plugins-"))
        self.folder.chmod(0o755)
        self.numbers = itertools.count(1)
        self.screens = []

    def close(self):
        for screen in self.screens:
            screen.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def device(self, user):
        folder = self.folder / f"device.{next(self.numbers)}"
        folder.mkdir(mode=0o700)
        if AS_NOBODY:
            os.chown(folder, NOBODY, NOBODY)
        return HostClient(folder, self.server, user, prefix=AS_NOBODY)

    def ship(self, library, descriptor, ending="plugin"):
        """`library`: a built object; `descriptor`: its text with @SHA256@. The descriptor's path."""
        folder = self.folder / f"vendor.{next(self.numbers)}"
        folder.mkdir()
        shutil.copy(library, folder)
        (folder / "template").write_text(descriptor)
        name = descriptor.split("\nid=")[1].split("\n")[0]
        subprocess.run([ROOT / "vendor-kit/plugins/describe", folder / "template", folder / library.name,
                        folder / f"{name}.{ending}"], check=True)
        return folder / f"{name}.{ending}"

    def sample(self, name):
        return self.ship(BUILD / f"vendor-kit/plugins/{name}/lib{name}.so",
                         (ROOT / f"vendor-kit/plugins/{name}/{name}.plugin.in").read_text())

    def herald(self, permissions, version="1.0"):
        """A plugin that does as it is told."""
        return self.ship(BUILD / "host-client/core/test-objects/libherald.so",
                         f"[Plugin]\nabi=1\nid=herald\nname=Herald\nversion={version}\nobject=libherald.so\n"
                         f"sha256=@SHA256@\n[Permissions]\n{permissions}\n[Limits]\ncall-timeout-ms=1000\n")

    def screen(self, device, *words, ready="/help shows what you can do"):
        screen = device.terminal(*words)
        self.screens.append(screen)
        screen.wait(ready)
        return screen
