"""What the documentation says is what the programs do."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def config_keys():
    """(group, key, default or None, is required) of each row of the server's table of keys."""
    text = (ROOT / "host-server/core/config-keys.h").read_text()
    body = text[text.index("static const Key keys[] = {"):]
    for group, key, rest in re.findall(r'\{\s*"([a-z]+)",\s*"([a-z_0-9]+)",\s*(.*?)\s*\},?\n', body, flags=re.S):
        plain = re.sub(r"\.values.*", "", rest, flags=re.S)
        default = re.findall(r'"([^"]*)"', plain)
        yield group, key, default[0] if default else None, "KEY_REQUIRED" in rest


def documented_keys():
    """{(group, key): default cell} of docs/operator.md."""
    found, group = {}, None
    for line in (ROOT / "docs/operator.md").read_text().splitlines():
        heading = re.match(r"### `\[([a-z]+)( NAME)?\]`", line)
        row = re.match(r"\| `([a-z_0-9]+)`(?: ↻)? \| (.*?) \|", line)
        if heading:
            group = heading[1]
        elif row and group:
            found[group, row[1]] = row[2]
    return found


def test_every_configuration_key_is_documented_with_its_default():
    documented = documented_keys()
    keys = list(config_keys())
    assert len(keys) > 40
    for group, key, default, is_required in keys:
        cell = "required" if is_required else f"`{default}`" if default is not None else "–"
        assert documented.pop((group, key), None) == cell, f"[{group}] {key}"
    assert not documented, f"documented, but not there: {sorted(documented)}"


def test_shell_signature_of_the_billing_guide_is_the_specifications():
    guide = (ROOT / "docs/billing.md").read_text()
    sample = re.search(r"```sh\n(.*?)```", guide, re.S)[1]
    variables = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
                 "timestamp": "1614265330", "body": '{"test": 2432232314}', "PATH": "/usr/bin:/bin"}
    printed = subprocess.run(["sh", "-c", sample], env=variables, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def cases_table():
    """(the case, names of its tests) of each row of docs/money.md."""
    section = (ROOT / "docs/money.md").read_text().split("\n## Cases\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    assert rows[0] == ["case", "must happen", "answer", "shown by"]
    return [(row[0], re.findall(r"`([^`]+)`", row[3]) if len(row) == 4 else []) for row in rows[2:]]


def test_every_case_of_money_is_shown_by_tests_and_every_such_test_is_in_the_table():
    tests = {name: file.name for file in (ROOT / "tests").glob("*/test_*.py")
             for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}
    rows = cases_table()
    assert len(rows) > 40
    for case, names in rows:
        assert names, f"nothing shows what must happen in the case: {case}"
        for name in names:
            *file, function = name.split("::")
            assert function in tests, f"{case}: there is no {name}"
            assert not file or tests[function] == file[0], f"{case}: {function} is in {tests[function]}"
    named = {name.split("::")[-1] for _case, names in rows for name in names}
    assert not {name for name in tests if name.startswith("test_case_")} - named, "shown, but in no row"


def test_links_between_documents_lead_somewhere():
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_metric_is_in_the_operators_table():
    source = "".join(path.read_text() for path in (ROOT / "host-server").rglob("*.c"))
    families = set(re.findall(r'"(stoa_[a-z_]+)"', source))
    table = (ROOT / "docs/operator.md").read_text()
    documented = set(re.findall(r"(stoa_[a-z_]+)", table))
    assert len(families) > 30
    assert families - documented == set()
    assert documented - families == set()
