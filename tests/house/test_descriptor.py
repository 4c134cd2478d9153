"""The reference of the descriptor language says all that the reader knows, and names tests that there are."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "vendor-kit/plugins/README.md").read_text()
MODULE = ROOT / "common/module"


def words(file, pattern):
    found = re.findall(pattern, (MODULE / file).read_text())
    assert len(found) > 3, f"{file}: {pattern}"
    return found


def is_said(word):
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", REFERENCE)


def test_every_type_variable_and_action_is_in_the_reference():
    types = words("signature.c", r'\{ "(\w+)", DESCRIPTOR_[A-Z0-9]+ \}')
    assert {"void", "i8", "list", "handle"} <= set(types)
    variables = words("signature.c", r'\{ "(\w+)", DESCRIPTOR_VARIABLE_')
    actions = words("signature-provide.c", r'strcmp \(word, "(\w+)"\)')
    for word in set(types + variables + actions) - {"i16", "i32", "u16", "u32"}:  # i8 … i64
        assert is_said(word), word


def test_every_group_key_and_class_is_in_the_reference():
    groups = words("descriptor.c", r'\{ "(\w+ ?)", (?:true|false)')
    for group in groups:
        assert f"[{group.strip()}" in REFERENCE, group
    keys = [key for file in ("descriptor.c", "descriptor-calls.c")
            for key in words(file, r'strcmp \((?:entry->)?key, "([\w-]+)"\)')]
    for key in set(keys) - {"abi", "messages", "functions"} | {"settle-ms", "call-timeout-ms"}:
        assert is_said(key), key
    names = re.search(r"class_names\[\]\s*= \{([^}]*)\}", (MODULE / "descriptor-calls.c").read_text()).group(1)
    for name in re.findall(r'"([\w-]+)"', names):
        assert f"`{name}`" in REFERENCE, name


def test_every_limit_is_in_the_reference():
    header = (MODULE / "descriptor.h").read_text()
    limits = dict(re.findall(r"#define DESCRIPTOR_MAX_(\w+) +(\d+)", header))
    assert len(limits) > 10
    for name, limit in limits.items():
        shown = {"BYTES": "16 KiB", "WORDS": "0 to 31", "BUFFER": limit, "SLOT": "0 to 255"}.get(name, limit)
        assert is_said(shown), f"{name}={limit}"


def test_every_test_that_the_reference_names_is_there():
    sources = [path.read_text() for folder in ("host-client/core", "common/module", "host-server/modules")
               for path in (ROOT / folder).glob("test-*.c")]
    sources += [(ROOT / f"tests/system/{name}.py").read_text() for name in ("test_legacy", "test_items")]
    table = REFERENCE[REFERENCE.index("## What shows that it works"):REFERENCE.index("## Native plugins")]
    named = [name for line in table.splitlines() if line.startswith("| ") for name in
             re.findall(r"`([a-z][\w]*(?:[-_][a-z]+){3,}\w*)`", line.split("|")[2])]
    assert len(named) > 40
    for name in named:
        assert any(name in source for source in sources), name
