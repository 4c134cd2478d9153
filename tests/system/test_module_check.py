"""`host-module-check`: the samples of the tree are fine, and each fault fails the row that is about it and no other."""

import hashlib
import os
import shutil

import pytest

from lib.check import check, failed, run, texts
from lib.process import BUILD

KEYGEN_ROWS = ["object", "exports", "imports", "load", "abi", "answer", "determinism", "uniqueness", "crashes", "limits",
               "speed"]
OLD_KEYGEN_ROWS = ["descriptor", "hash", "object", "imports", "load", "answer", "determinism", "uniqueness", "crashes", "limits",
                   "speed"]
PLUGIN_ROWS = ["descriptor", "hash", "object", "imports", "symbols", "answer", "crashes", "limits", "speed"]


@pytest.mark.parametrize("name, n, options", [("weather", 10000, []), ("signed", 1000, ["--seeds=1000"])])
def test_the_sample_keygens_are_fine(name, n, options):
    """Ten thousand seeds unless said otherwise."""
    rows = check("keygen", BUILD / f"keygen-modules/lib{name}-keygen.so", *options)
    assert list(rows) == KEYGEN_ROWS
    assert {row["verdict"] for row in rows.values()} == {"ok"}, texts(rows)
    assert rows["uniqueness"]["text"] == f"{n} seeds, {n} serials" and rows["uniqueness"]["duplicates"] == 0
    assert rows["speed"]["p50_us"] > 0


def test_an_old_library_that_makes_keys_is_fine_over_ten_thousand_seeds():
    rows = check("keygen", BUILD / "keygen-modules/almanac-keygen.legacy")
    assert list(rows) == OLD_KEYGEN_ROWS
    assert {row["verdict"] for row in rows.values()} == {"ok"}, texts(rows)
    assert rows["answer"]["text"].startswith("ALM4-") and rows["uniqueness"]["text"] == "10000 seeds, 10000 serials"
    assert rows["speed"]["p99_us"] >= rows["speed"]["p50_us"] > 0


@pytest.fixture
def old_keygen(tmp_path):
    """The library of old keys, described so that it is asked for `what`."""
    def make(what, sha256=None, returns="0=ok\n-4=seats\nnegative=error"):
        shutil.copy(BUILD / "host-server/modules/liboldkeys.so", tmp_path / "liboldkeys.so")
        digest = sha256 or hashlib.sha256((tmp_path / "liboldkeys.so").read_bytes()).hexdigest()
        path = tmp_path / "old.legacy"
        path.write_text(f"[Plugin]\nformat=1\nid=old-keys\nname=Old keys\nversion=1\nobject=liboldkeys.so\nsha256={digest}\n"
                        f"[Symbols]\ninit=int old_init ()\nkeygen={what}\nmessage=cstr old_error (int code)\n"
                        f"[Return keygen]\n{returns}\n"
                        "[Provide]\nhost_customer=int (ptr buffer, int size) -> copy user 0\nhost_note=void (cstr text) -> log\n")
        return path
    return make


OLD = 'int old_make (cstr "%s", buf 64 output, i32 sizeof(output), out i64 expires:yyyymmdd)'


@pytest.mark.parametrize("what, expected, words", [
    ("make", set(), None),
    ("crash", {"answer", "crashes"}, "crashed by signal"),
    ("exit", {"answer", "crashes"}, "exited with status 0"),
    ("hang", {"answer", "crashes", "limits"}, "300 ms"),
    ("nothing", {"answer", "crashes"}, "no serial"),
    ("file", {"answer", "uniqueness"}, "denied"),
    ("-8", {"answer", "crashes"}, "fault of its own"),
])
def test_an_old_librarys_fault_fails_the_row_that_is_about_it(old_keygen, what, expected, words):
    rows = check("keygen", old_keygen(OLD % what), "--seeds=50", "--deadline=300")
    assert failed(rows) == expected, texts(rows)
    if words:
        assert any(words in rows[name]["text"] for name in expected), texts(rows)


def test_why_an_old_library_refused_is_told(old_keygen):
    rows = check("keygen", old_keygen(OLD % "file"), "--seeds=5")
    assert rows["answer"]["text"] == "the module says: denied; logged: the cupboard is locked"


def test_old_keys_that_are_the_same_for_everybody_are_told_of(old_keygen):
    same = 'cstr "%s"' % ("x" * 32)
    rows = check("keygen", old_keygen(f"cstr old_all ({same}, cstr term, {same}, u32 0, u32 0, {same}, {same}, i64 0, u32 0)",
                                      returns="nonnull=ok"), "--seeds=20")
    assert failed(rows) == {"uniqueness"} and "18 of 20 seeds" in rows["uniqueness"]["text"], texts(rows)


def test_another_object_or_no_keygen_is_named(old_keygen):
    assert failed(check("keygen", old_keygen(OLD % "make", sha256="0" * 64))) == {"hash"}
    rows = check("keygen", BUILD / "vendor-kit/plugins/dice/dice.legacy")
    assert failed(rows) == {"load"} and "no keygen=" in rows["load"]["text"]


@pytest.mark.parametrize("kind, path", [("legacy", "dice/dice.legacy"), ("legacy", "quotes/quotes.legacy"),
                                        ("legacy", "weather/weather.legacy"), ("native", "reminders/reminders.plugin")])
def test_the_sample_plugins_are_fine(kind, path):
    rows = check(kind, BUILD / "vendor-kit/plugins" / path)
    assert list(rows) == PLUGIN_ROWS
    assert failed(rows) == set(), texts(rows)


@pytest.mark.parametrize("fault, expected, words", [
    ("chance", {"determinism"}, "take chance from the seed"),
    ("clock", {"determinism"}, "take chance from the seed"),
    ("few", {"uniqueness"}, "that another had"),
    ("rare-crash", {"crashes"}, "crashed by signal"),
    ("socket", {"imports"}, "socket: refused (no network)"),
    ("other-abi", {"abi"}, "another version of host/module.h"),
    ("no-serial", {"answer", "crashes"}, "no serial"),
    ("none", set(), None),
    ("state", set(), None),
])
def test_a_fault_fails_the_row_that_is_about_it(fault, expected, words):
    rows = check("keygen", BUILD / f"tests/check/keygen-{fault}.so", "--seeds=600")
    assert failed(rows) == expected, texts(rows)
    if words:
        assert all(words in rows[name]["text"] for name in expected), texts(rows)


def test_a_crash_at_every_call_is_counted_and_nothing_more_is_claimed():
    rows = check("keygen", BUILD / "tests/check/keygen-crash.so")
    assert failed(rows) == {"answer", "crashes"} and "crashed by signal" in rows["crashes"]["text"]
    assert rows["determinism"]["verdict"] == rows["uniqueness"]["verdict"] == rows["speed"]["verdict"] == "skipped"


@pytest.mark.parametrize("fault, row", [("hang", "limits"), ("late-load", "load")])
def test_what_never_ends_is_ended_at_the_deadline(fault, row):
    rows = check("keygen", BUILD / f"tests/check/keygen-{fault}.so", "--deadline=200")
    assert row in failed(rows), texts(rows)
    assert "deadline" in rows[row]["text"] or "200 ms" in rows[row]["text"]


def test_memory_is_limited_and_more_of_it_can_be_asked_for():
    path = BUILD / "tests/check/keygen-greed.so"
    rows = check("keygen", path, "--seeds=5", "--memory=64")
    assert "crashes" in failed(rows)
    rows = check("keygen", path, "--seeds=5", "--memory=2048")
    assert failed(rows) == set(), texts(rows)


def test_a_program_that_a_module_starts_does_not_run():
    rows = check("keygen", BUILD / "tests/check/keygen-program.so", "--seeds=5")
    assert {"imports", "answer"} <= failed(rows), texts(rows)
    assert "system: kills the process" in rows["imports"]["text"]


def test_a_missing_function_is_named():
    rows = check("keygen", BUILD / "tests/check/keygen-no-function.so")
    assert rows["exports"]["text"] == "it does not export host_keygen"
    assert {"exports", "load"} == failed(rows)


def test_a_module_that_denies_everybody_is_not_fine():
    rows = check("keygen", BUILD / "tests/check/keygen-denial.so", "--seeds=20")
    assert rows["answer"]["text"] == "the module says: denied"
    assert {"answer", "uniqueness"} == failed(rows)


@pytest.mark.parametrize("content, words", [
    (b"", "no ELF file"), (b"\x7fELF", "no ELF file"), (b"#!/bin/sh\n" * 10, "no ELF file"), (None, "No such file")])
def test_what_is_no_object_is_said_to_be_none(tmp_path, content, words):
    path = tmp_path / "module.so"
    if content is not None:
        path.write_bytes(content)
    rows = check("keygen", path)
    assert list(rows) == ["object"] and words in rows["object"]["text"]


def test_every_cut_of_an_object_is_survived(tmp_path):
    whole = (BUILD / "tests/check/keygen-none.so").read_bytes()
    path = tmp_path / "module.so"
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        assert run("keygen", path, "--seeds=1").returncode == 1


@pytest.fixture
def plugin(tmp_path):
    def make(fault, extra="", sha256=None):
        shutil.copy(BUILD / f"tests/check/plugin-{fault}.so", tmp_path / "plugin.so")
        digest = sha256 or hashlib.sha256((tmp_path / "plugin.so").read_bytes()).hexdigest()
        path = tmp_path / "plugin.legacy"
        path.write_text(f"[Plugin]\nformat=1\nid=faulty\nname=Faulty\nversion=1\nobject=plugin.so\nsha256={digest}\n"
                        "[Symbols]\ninit=int faulty_init ()\ncheck=int faulty_check (cstr serial)\n"
                        "[Return check]\n0=ok\n-2=bad-serial\n[Limits]\ncall-timeout-ms=300\n" + extra)
        return path
    return make


def test_a_plugin_is_started_with_the_serial_that_is_given(plugin):
    path = plugin("none")
    assert check("legacy", path)["answer"]["text"] == "without a serial: bad-serial"
    rows = check("legacy", path, "--serial=GOOD")
    assert rows["answer"]["text"] == "with the serial: ok" and failed(rows) == set()
    assert failed(check("legacy", path, "--serial=WRONG")) == {"answer"}


@pytest.mark.parametrize("fault, expected", [("crash", {"crashes"}), ("hang", {"limits"}), ("process", {"imports"})])
def test_a_plugins_fault_fails_the_row_that_is_about_it(plugin, fault, expected):
    rows = check("legacy", plugin(fault))
    assert failed(rows) == expected, texts(rows)


def test_another_hash_an_unknown_symbol_and_a_bad_descriptor_are_named(plugin):
    rows = check("legacy", plugin("none", sha256="0" * 64))
    assert failed(rows) == {"hash"}
    rows = check("legacy", plugin("none", "[Command go]\ncall=cstr faulty_go (cstr input)\nhelp=Go\n"))
    assert failed(rows) == {"symbols"} and "faulty_go" in rows["symbols"]["text"]
    rows = check("legacy", plugin("none", "[Limits]\nspeed=9\n"))
    assert failed(rows) == {"descriptor"} and "plugin.legacy" in rows["descriptor"]["text"]


@pytest.mark.parametrize("arguments", [[], ["keygen"], ["nothing", "x.so"], ["keygen", "a.so", "b.so"],
                                       ["keygen", "a.so", "--seeds=0"], ["keygen", "a.so", "--seeds=many"],
                                       ["keygen", "a.so", "--deadline=1"], ["keygen", "a.so", "--nothing"]])
def test_usage_is_status_two(arguments):
    result = run(*arguments)
    assert result.returncode == 2 and result.stdout == "" and "usage" in result.stderr + "usage"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be refused for being root")
def test_root_without_another_user_checks_nothing_and_says_why():
    result = run("keygen", BUILD / "keygen-modules/libweather-keygen.so", "--uid=0")
    assert result.returncode == 2 and "root" in result.stderr


def test_lines_for_people_say_the_same():
    result = run("keygen", BUILD / "tests/check/keygen-few.so", "--seeds=600")
    lines = result.stdout.splitlines()
    assert result.returncode == 1 and lines[-1] == "not fine"
    assert [line.split()[1] for line in lines[1:-1]] == KEYGEN_ROWS
