"""The last line of a test run must be able to say that something failed."""

import json

import pytest

from lib import sum_results

XML = '<testsuites><testsuite errors="{}" failures="{}" skipped="{}" tests="{}"/></testsuites>'


def tap(result, *lines):
    return json.dumps({"name": "x", "result": result, "stdout": "\n".join(lines)})


@pytest.mark.parametrize("files, last_line, status", [
    ({}, "0 passed, 0 failed", 1),
    ({"a.json": tap("OK", "1..2", "ok 1 /a", "ok 2 /b")}, "2 passed, 0 failed", 0),
    ({"a.json": tap("FAIL", "ok 1 /a", "not ok 2 /b")}, "1 passed, 1 failed", 1),
    ({"a.json": tap("ERROR", "1..2", "ok 1 /a")}, "1 passed, 1 failed", 1),
    ({"a.json": tap("TIMEOUT")}, "0 passed, 1 failed", 1),
    ({"a.json": tap("OK", "ok 1 /a", "ok 2 /b # SKIP no clang")}, "1 passed, 0 failed", 0),
    ({"a.json": tap("OK", "ok 1 /a # SKIP")}, "0 passed, 0 failed", 1),
    ({"a.json": "lost"}, "0 passed, 1 failed", 1),
    ({"a.xml": XML.format(0, 0, 0, 3)}, "3 passed, 0 failed", 0),
    ({"a.xml": XML.format(1, 1, 1, 5)}, "2 passed, 2 failed", 1),
    ({"a.xml": "lost", "b.xml": XML.format(0, 0, 0, 3)}, "3 passed, 1 failed", 1),
])
def test_sum(files, last_line, status, tmp_path, capsys):
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert sum_results.main(tmp_path) == status
    assert capsys.readouterr().out.splitlines()[-1] == last_line
