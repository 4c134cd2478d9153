"""Packages of plugins as a vendor makes them: a plugin of its own for each, versions of it, and what can be wrong with
them."""

import itertools
import pathlib
import subprocess

from lib.process import ROOT, program

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


def plugin_folder(parent, plugin, version, data="4K"):
    """A plugin's files as its vendor has them."""
    folder = pathlib.Path(parent) / f"{plugin}-{version}.{next(_numbers)}"
    folder.mkdir(parents=True)
    (folder / ".source.c").write_text(SOURCE)
    (folder / ".template").write_text(DESCRIPTOR.format(id=plugin, name=plugin.capitalize(), version=version,
                                                        data=data))
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
