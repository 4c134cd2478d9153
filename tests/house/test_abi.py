"""The contract with vendors' objects does not change under them."""

import platform
import re
import shutil
import subprocess

import pytest

import abi

CHANGES = [
    # (in the header, becomes, what the check says)
    ("  uint32_t timer;", "  uint64_t timer;", "struct HostEvent"),
    ("  HOST_VERDICT_EXPIRED = 2,", "  HOST_VERDICT_EXPIRED = 12,", "enum HostVerdict"),
    ("int (*remove) (void *host, const char *key);", "int (*remove) (void *host, char *key);", "struct HostStorage1"),
    ('"host.notify/1"', '"host.notify/2"', "macro HOST_NOTIFY_1"),
    ("HOST_EXPORT const HostPlugin *host_plugin_v1 (void);", "HOST_EXPORT HostPlugin *host_plugin_v1 (void);",
     "function host_plugin_v1"),
    ("  int (*poll_fd) (void *self);\n", "", "struct HostPlugin"),
]
GROWTH = [
    ("  int (*poll_fd) (void *self);\n", "  int (*poll_fd) (void *self);\n  int (*more) (void *self);\n"),
    ("  HOST_VERDICT_ERROR = 7,", "  HOST_VERDICT_ERROR = 7,\n  HOST_VERDICT_NEW = 8,"),
]


def changed(tmp_path, old, new):
    shutil.copytree(abi.INCLUDE / "host", tmp_path / "host", dirs_exist_ok=True)
    text = (tmp_path / "host/plugin.h").read_text()
    assert text.count(old) == 1, old
    (tmp_path / "host/plugin.h").write_text(text.replace(old, new))
    return abi.measure(abi.Interface(include=tmp_path), include=tmp_path)


def test_every_declaration_of_the_headers_is_understood():
    interface = abi.Interface()
    assert not interface.unread
    text = "".join(re.sub(r"/\*.*?\*/", "", (abi.INCLUDE / name).read_text(), flags=re.S) for name in abi.headers())
    assert len(re.findall(r"\btypedef\b[^;]*\{", text)) == len(interface.structs) + len(interface.enums) > 10
    assert len(re.findall(r"^HOST_EXPORT\b", text, re.M)) == len(interface.functions) > 2


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the table is for LP64 machines")
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_sizes_offsets_and_values_are_what_was_frozen(compiler):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    now = abi.measure(abi.Interface(), compiler)
    frozen = abi.GOLDEN.read_text()
    assert not abi.broken(frozen, now), "objects of vendors would break"
    assert now == frozen, "the interface grew: python3 tests/house/abi.py --update keeps it"


@pytest.mark.parametrize("old, new, said", CHANGES, ids=[said for _old, _new, said in CHANGES])
def test_a_change_is_noticed(tmp_path, old, new, said):
    faults = abi.broken(abi.GOLDEN.read_text(), changed(tmp_path, old, new))
    assert len(faults) == 1 and faults[0].startswith(said)


@pytest.mark.parametrize("old, new", GROWTH, ids=["member", "value"])
def test_growth_at_an_end_breaks_nothing(tmp_path, old, new):
    now = changed(tmp_path, old, new)
    assert now != abi.GOLDEN.read_text() and not abi.broken(abi.GOLDEN.read_text(), now)


@pytest.mark.parametrize("compiler", [
    "gcc -std=c99 -pedantic", "gcc -std=gnu11", "clang -std=c99 -pedantic -Weverything -Wno-padded -Wno-unknown-warning-option -Wno-unsafe-buffer-usage",
    "g++ -xc++ -std=c++11 -pedantic", "clang++ -xc++ -std=c++17 -pedantic"])
@pytest.mark.parametrize("header", abi.headers())
def test_every_header_stands_alone(tmp_path, compiler, header):
    if shutil.which(compiler.split()[0]) is None:
        pytest.skip(f"{compiler} is not installed")
    source = tmp_path / "alone.c"
    source.write_text(f"#include <{header}>\n#include <{header}>\nint alone (void);\nint alone (void) {{ return 0; }}\n")
    result = subprocess.run([*compiler.split(), "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I",
                             abi.INCLUDE, source], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", sorted(abi.Interface().structs))
def test_every_struct_begins_with_its_size_and_abi(name):
    members = abi.Interface().structs[name]
    if name == "HostBytes":
        pytest.skip("a pair of values, passed as such")
    assert members[:2] == [("size", "uint32_t"), ("abi", "uint32_t")]
