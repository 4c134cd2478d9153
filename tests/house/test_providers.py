"""A kind of billing provider is one file and one line: nothing else in the server knows its name."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = ROOT / "host-server"


def types():
    return re.findall(r"^PROVIDER_TYPE \((\w+)\)", (SERVER / "market/provider/provider-types.h").read_text(), re.M)


def test_each_type_is_a_file_that_only_the_table_and_the_build_name():
    assert {"standard", "stripe"} <= set(types())
    for name in types():
        assert (SERVER / f"market/provider/provider-{name}.c").exists()
        own = {f"provider-{name}.c", "provider-types.h", "meson.build"}
        for path in SERVER.rglob("*"):
            if path.suffix not in (".c", ".h") or path.name in own or path.name.startswith("test-"):
                continue
            text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
            assert f"provider_{name}" not in text, f"{path} knows {name}"
            if name != "standard":  # a word that others use as well, and the default of `type`
                assert not re.search(rf'"[^"]*\b{name}\b[^"]*"', text, re.I), f"{path} speaks of {name}"


def test_each_type_is_in_the_operators_guide():
    [row] = re.findall(r"\| `type` \|.*", (ROOT / "docs/operator.md").read_text())
    for name in types():
        assert f"`{name}`" in row
