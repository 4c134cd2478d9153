"""The rules of the house that a machine can check: which way includes point, how long a file may be,
and that nothing of one machine is in the tree."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Folder of the including file (longest match counts) -> folders whose headers it may include; its own
# folder is always allowed. The order is that of docs/architecture.md.
BASE = ["common/base"]
COMMON = ["common/base", "common/protocol", "common/net", "common/module", "plugin-abi/include"]
WIRE = COMMON + ["host-server/wire"]
STORE = WIRE + ["host-server/store"]
CORE = STORE + ["host-server/core"]
MODULES = CORE + ["host-server/modules"]
ROOMS = ["im", "market", "access", "packages", "configuration", "functions", "standby", "admin"]
MARKET = ["host-server/market/provider", "host-server/market/books"]
ARROWS = {
    "plugin-abi/include": [],
    "common/base": [],
    "common/protocol": BASE,
    "common/net": BASE,
    "common/module": BASE + ["plugin-abi/include"],
    "plugin-abi/runner": BASE + ["common/module", "plugin-abi/include"],
    "plugin-abi/check": BASE + ["common/module", "plugin-abi/include"],
    "keygen-modules": ["plugin-abi/include"],
    "vendor-kit/plugins": ["plugin-abi/include"],
    "vendor-kit/functions": ["plugin-abi/include"],
    "vendor-kit/plugin-server": BASE + ["common/net"],
    "billing-stub": BASE + ["common/net"],
    "host-server/wire": COMMON,
    "host-server/store": WIRE,
    "host-server/core": STORE,
    "host-server/modules": CORE,
    **{f"host-server/{room}": MODULES for room in ROOMS},
    "host-server/market/provider": CORE,
    "host-server/market/books": CORE + ["host-server/market/provider"],
    "host-server/market": MODULES + MARKET,
    "host-server/market/operator": MODULES + MARKET + ["host-server/market"],
    "host-server": MODULES + [f"host-server/{room}" for room in ROOMS],
    "host-client/core": COMMON,
    "host-client/cli": COMMON + ["host-client/core"],
    "host-client/gtk": COMMON + ["host-client/core"],
    "tests/bench": ["host-server/modules", "plugin-abi/include"],
    "tests": MODULES + MARKET + ["host-server/market", "host-server/functions", "host-client/core", "plugin-abi/runner",
                        "plugin-abi/check"],
}
STAND_ALONE = ["keygen-modules", "vendor-kit/plugins", "vendor-kit/functions"]  # a vendor copies these folders
MAX_LINES = 1000


def under(path, folder):
    return path == folder or path.startswith(folder + "/")


def home(path):
    """The folder of ARROWS a file belongs to, or None."""
    return max((folder for folder in ARROWS if under(path, folder)), key=len, default=None)


def include_faults(path, text, exists):
    """What is wrong with the includes of one file; `exists` tells whether a path is in the tree."""
    folder = home(path)
    if folder is None:
        return [f"{path}: in no folder of the architecture"]
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
        if not match:
            continue
        target = match.group(1)
        if target.startswith("host/"):
            target = "plugin-abi/include/" + target
        elif not exists(target):
            sibling = str(pathlib.PurePosixPath(path).parent / target)
            if not exists(sibling) and not target.startswith("."):
                continue  # a library's
            if target.startswith(".") or home(path) not in STAND_ALONE:
                faults.append(f"{path}:{number}: '{target}' does not start at the root")
                continue
            target = sibling
        their = home(target)
        if their is None or not (their == folder or any(their == allowed for allowed in ARROWS[folder])):
            faults.append(f"{path}:{number}: {folder} must not include '{target}'")
    return faults


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
                         cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in out.split("\0") if name and (ROOT / name).is_file()]


def test_includes_follow_the_arrows():
    files = tracked("*.c", "*.h")
    known = set(files)
    faults = [fault for name in files
              for fault in include_faults(name, (ROOT / name).read_text(), known.__contains__)]
    assert files and not faults, "\n".join(faults)


@pytest.mark.parametrize("path, line, is_fault", [
    ("host-server/wire/stream.c", '#include "host-server/core/session.h"', True),
    ("host-server/core/session.c", '#include "host-server/wire/stream.h"', False),
    ("host-server/im/roster.c", '#include "host-server/market/books/order.h"', True),
    ("host-server/market/books/order.c", '#include "host-server/store/store.h"', False),
    ("host-server/server.c", '#include "host-server/market/market.h"', False),
    ("host-server/server.c", '#include "host-server/market/books/order.h"', True),
    ("host-server/market/books/order.c", '#include "host-server/market/market.h"', True),
    ("host-server/market/market.c", '#include "host-server/market/books/order.h"', False),
    ("common/base/log.c", '#include "common/net/http.h"', True),
    ("common/net/http.c", '# include "common/base/log.h"', False),
    ("host-client/core/chat.c", '#include "host-client/cli/prompt.h"', True),
    ("host-client/core/chat.c", '#include "host-server/wire/stream.h"', True),
    ("keygen-modules/acme/acme.c", "#include <host/keygen.h>", False),
    ("keygen-modules/acme/acme.c", '#include "common/base/log.h"', True),
    ("billing-stub/main.c", '#include "common/net/http.h"', False),
    ("billing-stub/main.c", '#include "host-server/wire/stream.h"', True),
    ("host-server/wire/stream.c", '#include "../core/session.h"', True),
    ("host-server/wire/stream.c", '#include "stream.h"', True),
    ("vendor-kit/plugins/weather.c", '#include "weather.h"', False),
    ("host-server/wire/stream.c", "#include <stdio.h>", False),
    ("somewhere/else.c", "", True),
])
def test_the_include_check_can_tell(path, line, is_fault):
    known = {"host-server/core/session.h", "host-server/wire/stream.h", "host-server/market/books/order.h",
             "host-server/market/market.h", "host-server/store/store.h", "common/net/http.h", "common/base/log.h", "host-client/cli/prompt.h",
             "plugin-abi/include/host/keygen.h", "vendor-kit/plugins/weather.h"}
    assert bool(include_faults(path, line, known.__contains__)) == is_fault


def test_no_file_is_longer_than_a_noun():
    long = [f"{name}: {count} lines" for name in tracked("*.c", "*.h", "*.py", "*.sh", "tests/run-all")
            if (count := len((ROOT / name).read_text().splitlines())) > MAX_LINES]
    assert not long, "\n".join(long)


def test_nothing_of_one_machine_is_in_the_tree():
    """Absolute paths of a checkout or of somebody's home have no place here."""
    here = re.compile("|".join([re.escape(str(ROOT)) + r"\b", r"(?<![\w.])/(home|Users)/\w+", "/root" + "/"]))
    faults = []
    for name in tracked():
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        faults += [f"{name}:{number}: {line.strip()[:100]}" for number, line in enumerate(text.splitlines(), 1)
                   if here.search(line)]
    assert not faults, "\n".join(faults)


def test_commands_are_executable():
    for name in ["test.sh", "tests/run-all", ".ci/run", "tests/lib/install-packages", "tests/lib/run-file"]:
        assert (ROOT / name).stat().st_mode & 0o111, name
