"""What vendors read is what the programs do: faults, rows of the check, keys of the manifest."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def words_of_table(text, heading):
    """The words in `code` of the first column of the table that begins with that heading row."""
    table = text[text.index(heading):].split("\n\n")[0].splitlines()[2:]
    return [word for row in table for word in re.findall(r"`([a-z-]+)`", row.split("|")[1])]


def test_every_fault_of_the_sample_server_is_documented():
    source = (ROOT / "vendor-kit/plugin-server/fault.c").read_text()
    names = re.findall(r'\[FAULT_[A-Z_]+\] = \{ "([a-z-]+)"', source)
    documented = words_of_table((ROOT / "vendor-kit/plugin-server/README.md").read_text(), "| fault | N times |")
    assert len(names) > 20 and sorted(documented) == sorted(names)


def test_every_row_of_the_check_is_documented_in_order():
    source = (ROOT / "host-server/admin/vendor-check-rows.c").read_text()
    names = re.findall(r'\{ "([a-z-]+)", (?:TRUE|FALSE), row_', source)
    assert len(names) > 20 and words_of_table((ROOT / "docs/vendors.md").read_text(), "| row | what must be |") == names


def test_every_key_of_the_manifest_is_documented():
    source = (ROOT / "host-server/market/books/plugins.c").read_text()
    keys = {key for _group, key in re.findall(r'\{ "(Plugin|Serial|PluginServer|Package)", "([a-z]+)", WORD_', source)}
    guide = (ROOT / "docs/vendors.md").read_text()
    table = guide[guide.index("| key | | |"):].split("\n\n")[0]
    documented = set(re.findall(r"`(?:\[[A-Za-z]+\] )?([a-z]+)`", "\n".join(row.split("|")[1] for row in table.splitlines()[2:])))
    assert len(keys) > 10 and documented == keys


def test_schemas_that_the_guide_names_are_there():
    named = set(re.findall(r"\(schemas/(plugin-server-[a-z-]+\.json)\)", (ROOT / "docs/vendors.md").read_text()))
    there = {path.name for path in (ROOT / "docs/schemas").glob("plugin-server-*.json")}
    assert named == there
