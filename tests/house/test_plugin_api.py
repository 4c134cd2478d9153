"""docs/plugin-api.md describes host/plugin.h, all of it and nothing else."""

import re

import pytest

import abi

PAGE = (abi.ROOT / "docs/plugin-api.md").read_text()
HEADER = abi.Interface(["host/plugin.h"])
ROW = re.compile(r"^\| `(\w+)` \| `?([^|`]+?)`? \| (.+) \|$", re.M)


def section(name):
    """The rows of the table below the heading of that name: {member or value: (type or number, what it is)}."""
    parts = re.split(r"^### ", PAGE, flags=re.M)
    [part] = [part for part in parts if part.startswith(f"`{name}`")]
    return {member: (kind, words) for member, kind, words in ROW.findall(part)}


@pytest.mark.parametrize("name", HEADER.structs)
def test_every_member_is_described_as_it_is_declared(name):
    rows = section(name)
    declared = {member: kind for member, kind in HEADER.structs[name] if member not in ("size", "abi")}
    assert {member: kind for member, (kind, _words) in rows.items()} == declared
    assert all(len(words) > 8 for _kind, words in rows.values())


@pytest.mark.parametrize("name", HEADER.enums)
def test_every_value_is_described_with_its_number(name):
    numbers = dict(line.split() for line in abi.blocks(abi.GOLDEN.read_text())[f"enum {name}"])
    rows = section(name)
    assert {value: number for value, (number, _words) in rows.items()} == numbers
    assert all(len(words) > 8 for _number, words in rows.values())


def test_every_function_and_every_name_is_there():
    for name in (*HEADER.functions, *HEADER.macros):
        assert f"`{name}`" in PAGE, name
    for name, struct in re.findall(r"### `(Host\w+)` = `(HOST_\w+)`", PAGE):
        assert struct in HEADER.macros and name.removeprefix("Host")[:-1].upper() in struct
    headings = set(re.findall(r"^### `(\w+)`", PAGE, re.M))
    assert headings == {*HEADER.structs, *HEADER.enums, *HEADER.functions, "HOST_TOKEN_1"}


def test_every_extension_has_a_table_but_the_reserved_one():
    names = {name for name, value in HEADER.macros.items() if value.startswith('"')}
    assert {struct for _name, struct in re.findall(r"### `(Host\w+)` = `(HOST_\w+)`", PAGE)} == names - {"HOST_TOKEN_1"}


def test_every_permission_is_shown_as_the_client_says_it():
    source = (abi.ROOT / "host-client/core/plugin-agreement.c").read_text()
    table = PAGE.split("| permission |")[1].split("\n\n")[0]
    for words in ("see every message that you receive and send while it runs", "in the chat that is open and to those you allow it",
                  "run up to 16 threads", "learn your address, not only a name made up for its vendor",
                  "vendor's functions on your server"):
        assert words in table and words in source
    keys = set(re.findall(r'strcmp \(key, "(\w+)"\) == 0',
                          (abi.ROOT / "common/module/descriptor.c").read_text().split("read_permission (Parser")[1].split("\n}")[0]))
    assert keys == set(re.findall(r"^\| `(\w+)=", table, re.M))
