"""docs/threat-model.md promises nothing that no test shows."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW_FILES = {"hostile": "tests/hostile/test-hostile.c", "hostile-client": "tests/hostile/test-hostile-client.c"}
EVERYBODY = {"plugin author", "keygen vendor", "function vendor", "user", "network", "everybody", "the same"}


def promises():
    """(promise, against, mechanism, names) of every row of the tables of promises."""
    found, is_table = [], False
    for line in (ROOT / "docs/threat-model.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if not line.startswith("|"):
            is_table = False
        elif cells == ["promise", "against", "mechanism", "shown by"]:
            is_table = True
        elif is_table and not line.startswith("| ---"):
            assert len(cells) == 4, f"not four cells: {line}"
            found.append((cells[0], cells[1], cells[2], re.findall(r"`([^`]+)`", cells[3])))
    return found


def known_tests():
    """Every name a promise may be shown by: functions of the test suites, and rows of the hostile ones."""
    names = {name for file in (ROOT / "tests").glob("*/test_*.py")
             for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}
    for folder in ("common", "host-server", "host-client", "plugin-abi", "tests/hostile"):
        for file in (ROOT / folder).rglob("test-*.c"):
            text = file.read_text()
            # Defined is not run: it must also be handed to GLib, by name or by the file's macro.
            names |= {name for name in re.findall(r"^(test_\w+) \(", text, re.M)
                      if len(re.findall(rf"\b{name}\b|ADD \({name[5:]}\)", text)) > 1}
    return names


def known_rows():
    return {f"{kind}/{deed}" for kind, file in ROW_FILES.items()
            for deed in re.findall(r'^\s*(?:\{ |ROW \(|CONNECTING \()"(\w+)",', (ROOT / file).read_text(), re.M)}


def test_every_promise_names_tests_that_are_there():
    rows, tests, deeds = promises(), known_tests(), known_rows()
    assert len(rows) > 30 and len(tests) > 300 and len(deeds) > 150
    for promise, _against, mechanism, names in rows:
        assert names and mechanism, f"nothing shows: {promise}"
        for name in names:
            assert name in (deeds if "/" in name else tests), f"{promise}: there is no {name}"


def test_every_promise_says_against_whom():
    for promise, against, _mechanism, _names in promises():
        assert set(against.split(", ")) <= EVERYBODY, f"{promise}: who is {against}?"


def test_every_kind_of_stranger_has_a_promise_against_it():
    against = {who for row in promises() for who in row[1].split(", ")}
    assert EVERYBODY <= against | {"the same"}


def test_every_deed_is_tried_somewhere():
    """A deed that no table of verdicts names is never done."""
    text = (ROOT / "tests/hostile/deeds.h").read_text()
    text = text[text.index("#define HOSTILE_DEEDS"):text.index("#define DECLARE_DEED")]
    deeds = set(re.findall(r"X \((\w+)\)", text))
    tried = {row.split("/")[1] for row in known_rows()}
    elsewhere = {"burn_between_calls"}  # a test of its own, which takes half a minute
    assert len(deeds) > 100 and deeds == tried | elsewhere
