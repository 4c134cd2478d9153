"""`host-module-check function run`: a vendor's call ends as on a host, and what it kept is there for the next."""

import json
import re
import sqlite3
import subprocess

import pytest

from lib.check import run
from lib.process import BUILD, ROOT, program

PROBE = BUILD / "tests/functions/probe-1.so"
FORECAST = BUILD / "vendor-kit/functions/libforecast.so"


@pytest.fixture
def manifest(tmp_path):
    def write(**keys):
        keys = {"module": "acme/probe.so", "names": "echo,bump,slow-copy,fill,spin,overflow,put-and-crash,put-and-refuse,"
                "random,facts", "user_data": "64K", "application_data": "64K", **keys}
        path = tmp_path / "probe.manifest"
        path.write_text("[Plugin]\nid=probe\nname=Probe\nvendor=acme\n[Functions]\n"
                        + "".join(f"{key}={value}\n" for key, value in keys.items()))
        return f"--manifest={path}"
    return write


@pytest.fixture
def call(tmp_path, manifest):
    """What a call came to: its result, or the error as protocol section 5 has it."""
    def make(function, argument="", *options, module=PROBE):
        options = options if any(str(one).startswith("--manifest") for one in options) else (manifest(), *options)
        result = run("function", "run", module, function, argument, "--json", f"--data={tmp_path / 'data'}", *options)
        assert result.returncode in (0, 1), result.stderr
        answer = json.loads(result.stdout)
        if result.returncode == 0:
            return answer["result"]
        error = answer.pop("error")
        answer.pop("text", None)
        return (error, *[(element, *values.values()) for element, values in answer.items()])
    return make


def limit(kind):
    return "resource-constraint", ("limit-exceeded", kind)


def test_the_next_call_sees_what_the_one_before_kept(call):
    assert [call("bump", "n") for _each in range(3)] == ["1", "2", "3"]
    assert call("store.list") == "" and call("store.put", "n\nmine") == ""
    assert (call("store.get", "n"), call("bump", "n")) == ("mine", "4")


def test_each_user_has_data_of_its_own(call):
    assert call("bump", "n", "--user=a") == call("bump", "n", "--user=b") == "1"
    assert call("facts", "", "--user=a").split()[:2] == ["a", "probe"]


def test_without_a_folder_nothing_stays_and_no_manifest_is_needed():
    for _each in range(2):
        result = run("function", "run", PROBE, "bump", "n")
        assert (result.returncode, result.stdout, result.stderr) == (0, "1", "")


@pytest.mark.parametrize("function, argument, error", [
    ("put-and-crash", "", ("service-unavailable", ("function-failed", "internal"))),
    ("put-and-refuse", "", ("service-unavailable", ("function-failed", "denied"))),
    ("slow-copy", "n 3000", limit("time")),
    ("overflow", "", limit("output")),
    ("fill", "100 1000", limit("memory")),
    ("nonesuch", "", ("item-not-found",)),
    ("store.get", "n", ("item-not-found",)),
    ("store.put", "no value", ("bad-request",)),
])
def test_a_call_that_fails_says_how_and_keeps_nothing(call, tmp_path, function, argument, error):
    assert call(function, argument, "--deadline=300") == error
    with sqlite3.connect(tmp_path / "data/market.db") as db:
        assert db.execute("SELECT COUNT(*) FROM function_value").fetchone() == (0,)


def test_the_same_request_brings_the_recorded_result(call):
    assert call("bump", "n", "--request=r") == call("bump", "n", "--request=r") == "1"
    assert call("bump", "m", "--request=r") == ("conflict",)


def slow_copy(tmp_path, manifest, n_changes):
    """A call under which its data is changed so many times, each after it has read."""
    data = tmp_path / "data"
    assert run("function", "run", PROBE, "store.put", "x\n0", manifest(), f"--data={data}").returncode == 0
    process = subprocess.Popen([program("host-module-check"), "function", "run", PROBE, "slow-copy", "store/x 400", manifest(),
                                f"--data={data}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _each in range(n_changes):
        assert "says: 0" in process.stderr.readline()
        with sqlite3.connect(data / "market.db", timeout=10) as db:
            db.execute("UPDATE function_value SET version = version + 1")
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_call_whose_data_changed_runs_again_and_three_times_at_most(tmp_path, manifest):
    assert slow_copy(tmp_path, manifest, 1)[:2] == (0, "0")
    status, out, err = slow_copy(tmp_path, manifest, 4)
    assert (status, out) == (1, "") and "resource-constraint <limit-exceeded kind='conflict'/>" in err


def test_resources_are_those_of_a_folder_or_of_a_list(call, manifest, tmp_path):
    folder = ROOT / "vendor-kit/functions/forecast"
    names = {"names": "forecast,places"}
    assert "Lisbon, 14 July" in call("forecast", "Lisbon 2026-07-14", manifest(**names), f"--resources={folder}", module=FORECAST)
    assert call("resource.get", "climate.csv 0 5") == ("item-not-found",)
    (tmp_path / "list").write_text(f"climate.csv {folder / 'climate.csv'} --open\n")
    assert call("resource.get", "climate.csv 0 5", f"--resources={tmp_path / 'list'}") == "place"
    assert "Lisbon" in call("places", "", manifest(**names), module=FORECAST)  # they stay with the data


def test_quotas_are_the_manifests(call, manifest):
    assert call("bump", "n", manifest(user_data="0")) == limit("memory")
    assert call("store.get", "n", manifest(user_data="0")) == ("item-not-found",)
    result = run("function", "run", PROBE, "echo", manifest(application_data="1K"),
                 f"--resources={ROOT / 'vendor-kit/functions/forecast'}")
    assert result.returncode == 2 and "[Functions] application_data says so" in result.stderr


@pytest.mark.parametrize("keys, words", [({"user_data": "much"}, r"\[Functions\] user_data"), ({"speed": "9"}, "unknown key"),
                                         ({"names": "store.get"}, "the host's own")])
def test_a_manifest_with_a_mistake_is_named(manifest, keys, words):
    result = run("function", "run", PROBE, "echo", manifest(**keys))
    assert result.returncode == 2 and re.search(words, result.stderr), result.stderr


def test_bytes_go_in_and_come_out(call, tmp_path):
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    result = subprocess.run([program("host-module-check"), "function", "run", PROBE, "echo", f"--argument-file={tmp_path / 'bytes'}"],
                            capture_output=True, timeout=60)
    assert result.returncode == 0 and result.stdout == bytes(range(256))
    (tmp_path / "bytes").write_bytes(bytes(49153))
    assert run("function", "run", PROBE, "echo", f"--argument-file={tmp_path / 'bytes'}").returncode == 2


@pytest.mark.parametrize("arguments", [[], [PROBE], [PROBE, "echo", "a", "b"], [PROBE, "no name"], ["probe.txt", "echo"],
                                       [PROBE, "echo", "--nothing"], [PROBE, "echo", "--request="], [PROBE, "echo", "--deadline=1"],
                                       [PROBE, "echo", "--data=/dev/null/x"], [PROBE, "echo", "--resources=/nothing"]])
def test_usage_is_status_two(arguments):
    result = run("function", "run", *arguments)
    assert result.returncode == 2 and result.stdout == "" and result.stderr


def test_a_module_that_is_not_there_is_unavailable():
    result = run("function", "run", "/nothing/here.so", "echo")
    assert result.returncode == 1 and "<function-failed reason='unavailable'/>" in result.stderr
