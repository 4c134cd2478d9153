"""`host-module-check function`: the samples are fine, and each fault fails the row that is about it and no other."""

import pytest

from lib.check import check, failed, run, texts
from lib.process import BUILD, ROOT

ROWS = ["object", "exports", "imports", "load", "abi", "functions", "answer", "determinism", "crashes", "limits", "speed"]
FORECAST = ROOT / "vendor-kit/functions/forecast"


def sample(name):
    return BUILD / f"vendor-kit/functions/lib{name}.so"


def faulty(fault, *arguments):
    return check("function", BUILD / f"tests/check/function-{fault}.so", "--names=serve", "--calls=50", *arguments)


def test_the_forecast_is_fine_with_its_table():
    rows = check("function", sample("forecast"), "--names=forecast,places", "--call=forecast Lisbon 2026-07-14",
                 f"--resources={FORECAST}")
    assert list(rows) == ROWS[:3] + ["resources"] + ROWS[3:]
    assert {row["verdict"] for row in rows.values()} == {"ok"}, texts(rows)
    assert "Lisbon, 14 July" in rows["answer"]["text"] and "places: 'Lisbon" in rows["answer"]["text"]
    assert 0 < rows["speed"]["p50_us"] <= rows["speed"]["p99_us"] <= rows["limits"]["slowest_us"]


def test_without_its_table_the_forecast_is_not_fine():
    rows = check("function", sample("forecast"), "--names=forecast,places", "--calls=10")
    assert failed(rows) == {"answer", "crashes"}, texts(rows)


def test_calls_see_what_the_calls_before_them_kept(tmp_path):
    manifest = tmp_path / "documents.manifest"
    manifest.write_text("[Plugin]\nid=documents\n[Functions]\nmodule=libdocuments.so\nnames=count;total\nuser_data=64K\n")
    rows = check("function", sample("documents"), f"--manifest={manifest}", "--call=count one two three",
                 "--call=count one two three", "--call=total")
    assert failed(rows) == set(), texts(rows)
    assert rows["answer"]["text"] == ("count: 'words 3, documents 1, new'; count: 'words 3, documents 1, seen 2 times'; "
                                      "total: 'documents 1, words 6'")
    assert rows["determinism"]["text"] == "3 calls gave the same result and kept the same in two processes"
    assert rows["functions"]["text"] == "count, total"


def test_a_declared_function_that_is_not_there_is_named():
    rows = check("function", sample("documents"), "--names=count,total,sum", "--call=count a", "--call=sum a", "--calls=10")
    assert failed(rows) == {"functions"} and rows["functions"]["text"] == "not there: sum"
    rows = check("function", sample("documents"), "--names=sum", "--calls=10")
    assert rows["functions"]["verdict"] == "warning" and "sum" in rows["functions"]["text"]
    rows = check("function", sample("documents"), "--names=total", "--call=count a", "--calls=10")
    assert failed(rows) == {"functions"} and "count, which the manifest does not name" in rows["functions"]["text"]


@pytest.mark.parametrize("fault, expected, words", [
    ("none", set(), "served"),
    ("crash", {"answer", "crashes"}, "crashed by signal"),
    ("long-crash", {"crashes"}, "crashed by signal"),
    ("overflow", {"answer", "crashes"}, "larger than the room"),
    ("socket", {"imports"}, "socket: refused (no network)"),
    ("other-abi", {"abi"}, "another version of host/module.h"),
    ("no-function", {"exports", "load"}, "host_function"),
    ("asking", {"answer", "crashes"}, "it asked too often"),
])
def test_a_fault_fails_the_row_that_is_about_it(fault, expected, words):
    rows = faulty(fault)
    assert failed(rows) == expected, texts(rows)
    assert all(words in rows[name]["text"] for name in expected or {"answer"}), texts(rows)


@pytest.mark.parametrize("fault", ["chance", "clock"])
def test_a_function_that_says_or_keeps_something_else_each_time_is_told_of(fault):
    rows = faulty(fault)
    assert failed(rows) == set() and rows["determinism"]["verdict"] == "warning", texts(rows)
    assert rows["determinism"]["text"].endswith(": serve")


def test_what_never_ends_is_ended_at_the_deadline():
    rows = faulty("hang", "--deadline=200")
    assert failed(rows) == {"answer", "crashes", "limits"}, texts(rows)
    assert rows["limits"]["text"] == "a call did not end within 200 ms"
    assert rows["determinism"]["verdict"] == rows["speed"]["verdict"] == "skipped"


def test_memory_is_limited_and_more_of_it_can_be_asked_for():
    assert "crashes" in failed(faulty("greed", "--memory=64", "--calls=1"))
    rows = faulty("greed", "--memory=2048", "--calls=1")
    assert failed(rows) == set(), texts(rows)


def test_a_function_that_refuses_what_it_was_asked_for_is_told_of():
    rows = faulty("denial", "--call=serve me")
    assert rows["answer"]["verdict"] == "warning" and rows["answer"]["text"] == "serve: denied, 'not today'"
    assert faulty("denial")["answer"]["verdict"] == "ok"


def test_resources_with_a_mistake_are_named(tmp_path):
    (tmp_path / "list").write_text("climate.csv nothing.csv\n")
    rows = faulty("none", f"--resources={tmp_path / 'list'}")
    assert failed(rows) == {"resources"} and "list:1: " in rows["resources"]["text"]


@pytest.mark.parametrize("arguments", [["--calls=0"], ["--calls=many"], ["--manifest=/nothing"], ["--names=,"], ["second.so"]])
def test_usage_is_status_two(arguments):
    result = run("function", sample("forecast"), *arguments)
    assert result.returncode == 2 and result.stdout == ""


def test_nothing_to_call_is_not_fine():
    rows = check("function", sample("documents"))
    assert rows["functions"]["verdict"] == "skipped"
