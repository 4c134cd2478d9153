"""Protected functions (protocol.md section 5) over real sockets: who may call, what a call may do, and what is kept of it."""

import base64
import pathlib
import sqlite3
import threading
import uuid

import pytest

from lib.client import HostClient
from lib.functions import FUNCTIONS, PROBES, FunctionShop, call, call_xml, receive_call, send_call
from lib.process import BUILD, wait_until
from lib.xmpp import error_condition

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAILED = "function-failed"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = FunctionShop(tmp_path_factory.mktemp("functions"))
    try:
        one.start()
        one.probe()
        yield one
    finally:
        one.stop()


@pytest.fixture
def own_shop(tmp_path):
    shops = []

    def open_shop(**options):
        shops.append(FunctionShop(tmp_path / "shop", **options))
        return shops[-1].start()
    yield open_shop
    for one in shops:
        one.stop()


@pytest.fixture
def callers():
    """Logged-in customers who are closed in the end: callers (shop, "probe")."""
    made = []

    def enter(shop, *applications, name=None):
        made.append(shop.caller(*applications, name=name))
        return made[-1]
    yield enter
    for one in made:
        one.close()


def limit(kind):
    return "resource-constraint", "limit-exceeded", kind


def failed(reason):
    return "service-unavailable", FAILED, reason


def run_in_thread(function, *arguments):
    box = []
    thread = threading.Thread(target=lambda: box.append(function(*arguments)))
    thread.start()

    def result():
        thread.join(30)
        return box[0]
    return result


# --- who may

def test_the_market_lists_functions_in_its_disco(shop, callers):
    answer = callers(shop).ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    assert FUNCTIONS in [feature.get("var") for feature in answer[0]]


def test_a_licensed_user_gets_the_result_and_the_function_knows_the_pairwise_name(shop, callers):
    customer = callers(shop, "probe")
    request = str(uuid.uuid4())
    user, application, seen, deadline, n_calls = call(customer, "probe", "facts", request=request).split()
    [entry] = customer.ask("get", "<serials xmlns='urn:stoa:serials:1'/>")[0]
    assert (user, application, seen, deadline, n_calls) == (entry.get("user"), "probe", request, "1000", "1")


def test_who_has_no_licence_is_forbidden_and_nothing_runs(shop, callers):
    assert call(callers(shop), "probe", "facts") == ("forbidden", None, None)


def test_a_licence_that_is_revoked_forbids_the_next_call(shop, callers):
    customer = callers(shop, "probe")
    assert call(customer, "probe", "echo", "before") == "before"
    shop.host.hostctl("serial", "revoke", f"{customer.name}@{shop.host.domain}", "probe")
    assert call(customer, "probe", "echo", "after") == ("forbidden", None, None)


@pytest.mark.parametrize("application, function", [("nothing", "echo"), ("weather", "echo"), ("probe", "nothing")])
def test_what_is_not_there_is_not_found(shop, callers, application, function):
    assert call(callers(shop, "probe"), application, function) == ("item-not-found", None, None)


@pytest.mark.parametrize("payload", [
    f"<call xmlns='{FUNCTIONS}' function='echo' request='1'/>",
    f"<call xmlns='{FUNCTIONS}' application='Probe!' function='echo' request='1'/>",
    f"<call xmlns='{FUNCTIONS}' application='probe' request='1'/>",
    f"<call xmlns='{FUNCTIONS}' application='probe' function='9' request='1'/>",
    f"<call xmlns='{FUNCTIONS}' application='probe' function='echo'/>",
    call_xml("probe", "echo", request="x" * 65),
    call_xml("probe", "echo", "no base64!", encoding="base64"),
    call_xml("probe", "echo", "abc", encoding="hex"),
    call_xml("probe", "echo", "x" * 49153),
    call_xml("probe", "echo", b"x" * 49153),
], ids=lambda payload: payload[:90])
def test_a_call_that_makes_no_sense_is_a_bad_request(shop, callers, payload):
    assert error_condition(callers(shop, "probe").ask("set", payload)) == ("modify", "bad-request")


# --- what goes in and out

@pytest.mark.parametrize("argument", ["", "text", "ä€😀 with\nlines", b"\x00\xff bytes", b"x" * 49152, "y" * 49152])
def test_arguments_and_results_are_text_or_bytes_up_to_48_kib(shop, callers, argument):
    result = call(callers(shop, "probe"), "probe", "echo", argument)
    if isinstance(argument, bytes) and not argument.startswith(b"\x00"):
        argument = argument.decode()  # bytes that are text come back as text
    assert result == argument


def test_text_that_escaping_would_swell_comes_as_base64(shop, callers):
    assert call(callers(shop, "probe"), "probe", "echo", b"&" * 40000) == b"&" * 40000


def test_a_result_without_a_trace_of_memory_each_call_begins_afresh(shop, callers):
    customer = callers(shop, "probe")
    assert {call(customer, "probe", "facts").split()[4] for _ in range(5)} == {"1"}
    assert call(customer, "probe", "random") != call(customer, "probe", "random")


# --- failures, each by its name

@pytest.mark.parametrize("function, argument, answer", [
    ("overflow", "", limit("output")),
    ("spin", "5000", limit("time")),
    ("put-and-crash", "", failed("internal")),
    ("exit", "", failed("internal")),
    ("unknown", "", failed("internal")),
    ("put-and-refuse", "", failed("denied")),
])
def test_a_failing_call_is_told_by_kind_and_keeps_nothing(own_shop, callers, function, argument, answer):
    shop = own_shop(modules={"deadline_ms": 300})
    shop.probe()
    customer = callers(shop, "probe")
    assert call(customer, "probe", function, argument) == answer
    with sqlite3.connect(shop.host.data / "market.db") as db:
        assert db.execute("SELECT COUNT(*) FROM function_value").fetchone() == (0,)
    assert call(customer, "probe", "echo", "still there") == "still there"
    assert [row for row in shop.log("probe") if row["function"] == function and row["level"] == "error"]


def test_a_user_whose_calls_crash_again_and_again_waits_and_others_do_not(shop, callers):
    bad, good = callers(shop, "probe"), callers(shop, "probe")
    assert [call(bad, "probe", "exit") for _ in range(5)] == [failed("internal")] * 5
    assert call(bad, "probe", "echo", "x") == limit("rate")
    assert call(good, "probe", "echo", "x") == "x"


def test_the_reason_a_function_gives_is_told_to_the_caller(shop, callers):
    answer = callers(shop, "probe").ask("set", call_xml("probe", "put-and-refuse"))
    assert answer.find("{*}error").findtext("{*}text") == "not today"


def test_the_api_refuses_what_it_should(shop, callers):
    customer = callers(shop, "probe")
    assert call(customer, "probe", "misuse") == "3 3 2 3 3 3 2:9 none:0"
    assert call(customer, "probe", "ask", "70") == "6"


# --- one request, one result

def test_the_same_request_returns_the_recorded_result(shop, callers):
    customer = callers(shop, "probe")
    request = str(uuid.uuid4())
    first = call(customer, "probe", "bump", "a", request)
    assert [call(customer, "probe", "bump", "a", request) for _ in range(3)] == [first] * 3 == ["1"] * 3
    assert call(customer, "probe", "bump", "a") == "2"


def test_another_argument_or_function_under_the_same_request_is_a_conflict(shop, callers):
    customer = callers(shop, "probe")
    request = str(uuid.uuid4())
    assert call(customer, "probe", "echo", "one", request) == "one"
    assert call(customer, "probe", "echo", "two", request) == ("conflict", None, None)
    assert call(customer, "probe", "facts", "one", request) == ("conflict", None, None)
    other = callers(shop, "probe")
    assert call(other, "probe", "echo", "two", request) == "two"


def test_a_request_that_still_runs_is_joined_or_conflicts(shop, callers):
    one = callers(shop, "probe")
    two, three = callers(shop, name=one.name), callers(shop, name=one.name)
    request = str(uuid.uuid4())
    first = send_call(one, "probe", "slow-copy", "join 500", request)
    wait_until(lambda: any(row["text"] == "absent" for row in shop.log("probe") if row["function"] == "slow-copy"), 10, "it runs")
    joined = send_call(two, "probe", "slow-copy", "join 500", request)
    assert call(three, "probe", "slow-copy", "join 501", request) == ("conflict", None, None)
    assert receive_call(one, first) == receive_call(two, joined) == "absent"
    user = call(one, "probe", "facts").split()[0]
    assert len([row for row in shop.log("probe") if row["user"] == user and row["function"] == "slow-copy"]) == 1


def test_recorded_results_survive_a_restart_and_a_kill(own_shop, callers):
    shop = own_shop()
    shop.probe()
    name = shop.user()
    customer = callers(shop, "probe", name=name)
    pure, kept = str(uuid.uuid4()), str(uuid.uuid4())
    random = call(customer, "probe", "random", "", pure)
    assert call(customer, "probe", "bump", "n", kept) == "1"
    for is_hard in (False, True):
        shop.host.restart(hard=is_hard)
        customer = callers(shop, name=name)
        assert call(customer, "probe", "random", "", pure) == random
        assert call(customer, "probe", "bump", "n", kept) == "1"
    assert call(customer, "probe", "bump", "n") == "2"


def test_a_result_older_than_it_is_kept_is_made_anew(own_shop, callers):
    shop = own_shop(functions={"result_keep_s": "0"})
    shop.probe()
    customer = callers(shop, "probe")
    request = str(uuid.uuid4())
    assert call(customer, "probe", "bump", "n", request) == "1"
    assert call(customer, "probe", "bump", "n", request) == "2"


# --- the user's data

def test_users_and_applications_do_not_see_each_others_data(shop, callers):
    shop.probe("probe-two")
    one, two = callers(shop, "probe", "probe-two"), callers(shop, "probe")
    assert [call(one, "probe", "bump", "n") for _ in range(3)] == ["1", "2", "3"]
    assert call(two, "probe", "bump", "n") == "1"
    assert call(one, "probe-two", "bump", "n") == "1"


def test_a_kill_after_the_answer_loses_nothing(own_shop, callers):
    shop = own_shop()
    shop.probe()
    name = shop.user()
    customer = callers(shop, "probe", name=name)
    for number in range(1, 6):
        assert call(customer, "probe", "bump", "n") == str(number)
        shop.host.restart(hard=True)
        customer = callers(shop, name=name)


def test_data_that_changed_under_a_call_makes_it_run_again(shop, callers):
    """Somebody else writes while the call runs, as another process of a cluster would, or a purchase."""
    customer = callers(shop, "probe")
    assert call(customer, "probe", "store.put", "x\nold") == ""
    user = call(customer, "probe", "facts").split()[0]
    result = run_in_thread(call, customer, "probe", "slow-copy", "store/x 600")
    wait_until(lambda: [row for row in shop.log("probe") if row["text"] == "old" and row["user"] == user], 10, "it has read")
    with sqlite3.connect(shop.host.data / "market.db", timeout=10) as db:
        db.execute("UPDATE function_value SET value = ?, version = version + 100 WHERE key = 'store/x' AND value = ?",
                   (b"new", b"old"))
    assert result() == "new"
    assert [row["text"] for row in shop.log("probe") if row["user"] == user] == ["old", "new"]


def test_a_call_whose_data_never_holds_still_is_a_conflict(own_shop, callers):
    shop = own_shop(modules={"deadline_ms": 3000})
    shop.probe()
    customer = callers(shop, "probe")
    assert call(customer, "probe", "store.put", "x\n0") == ""
    result = run_in_thread(call, customer, "probe", "slow-copy", "store/x 500")
    for number in range(4):
        wait_until(lambda: len([row for row in shop.log("probe") if row["function"] == "slow-copy"]) > number, 10, "it has read")
        with sqlite3.connect(shop.host.data / "market.db", timeout=10) as db:
            db.execute("UPDATE function_value SET version = version + 1 WHERE key = 'store/x'")
    assert result() == limit("conflict")
    assert call(customer, "probe", "store.get", "copy") == ("item-not-found", None, None)


def test_a_user_over_the_quota_is_told_and_what_was_there_stays(shop, callers):
    shop.probe("small", user_data="4K")
    customer = callers(shop, "small")
    assert call(customer, "small", "fill", "3 1000") == "0 refused"
    assert call(customer, "small", "fill", "30 1000") == limit("memory")
    assert call(customer, "small", "store.put", "more\n" + "x" * 2000) == limit("memory")
    assert call(customer, "small", "fill", "3 1000") == "0 refused"
    assert call(customer, "small", "store.put", "more\nx") == ""


def test_recorded_results_have_a_quota(own_shop, callers):
    shop = own_shop(functions={"result_bytes": "1K"})
    shop.probe()
    customer = callers(shop, "probe")
    assert call(customer, "probe", "echo", "x" * 800) == "x" * 800
    assert call(customer, "probe", "echo", "y" * 800) == limit("rate")
    assert call(customer, "probe", "bump", "n") == "1"  # those of calls with data are charged by themselves


def test_what_a_removed_user_had_goes(own_shop, callers):
    shop = own_shop()
    shop.probe()
    customer = callers(shop, "probe")
    assert call(customer, "probe", "bump", "n") == "1"
    assert call(customer, "probe", "echo", "n") == "n"
    shop.host.hostctl("user", "remove", f"{customer.name}@{shop.host.domain}")

    def is_gone():
        for file, table in [("market.db", "function_value"), ("market.db", "function_space"),
                            ("market.db", "function_result"), ("chat.db", "function_result")]:
            with sqlite3.connect(shop.host.data / file) as db:
                if db.execute(f"SELECT COUNT(*) FROM {table}").fetchone() != (0,):
                    return False
        return True
    wait_until(is_gone, 10, "nothing left")


# --- predefined functions

def test_what_a_caller_stores_is_there_and_listed_until_it_is_deleted(shop, callers):
    customer = callers(shop, "probe")
    assert call(customer, "probe", "store.put", "notes/a\nfirst") == ""
    assert call(customer, "probe", "store.put", b"notes/b\n\x00\xff") == ""
    assert call(customer, "probe", "store.get", "notes/a") == "first"
    assert call(customer, "probe", "store.get", "notes/b") == b"\x00\xff"
    assert call(customer, "probe", "store.list", "notes/") == "5 notes/a\n2 notes/b\n"
    assert call(customer, "probe", "store.delete", "notes/a") == ""
    assert call(customer, "probe", "store.get", "notes/a") == ("item-not-found", None, None)
    assert call(customer, "probe", "store.list") == "2 notes/b\n"


def test_a_caller_cannot_reach_what_the_vendor_keeps_or_what_was_bought(shop, callers):
    customer = callers(shop, "probe")
    assert call(customer, "probe", "bump", "private") == "1"
    assert call(customer, "probe", "store.get", "private") == ("item-not-found", None, None)
    assert call(customer, "probe", "store.put", "private\n100") == ""
    assert call(customer, "probe", "bump", "private") == "2"
    assert call(customer, "probe", "store.put", "item/gold\n100") == ("forbidden", None, None)
    assert call(customer, "probe", "store.delete", "item/gold") == ("forbidden", None, None)


@pytest.mark.parametrize("function, argument", [
    ("store.get", ""), ("store.get", "a\nb"), ("store.get", "k" * 200), ("store.put", "no value"), ("store.put", "\nvalue"),
    ("store.delete", ""), ("resource.get", ""), ("resource.get", "a b"), ("resource.get", "a 0 50000"), ("resource.get", "a 0 1 2")])
def test_a_predefined_function_says_what_it_does_not_understand(shop, callers, function, argument):
    assert call(callers(shop, "probe"), "probe", function, argument)[0] == "bad-request"


def test_resources_are_had_by_name_if_they_are_open_and_in_parts(shop, callers):
    shop.probe("library", application_data="1M")
    customer = callers(shop, "library")
    assert shop.resource("library", "terms.txt", "be kind", "--open") == 1
    assert shop.resource("library", "secret.txt", "42") == 1
    assert call(customer, "library", "resource.get", "terms.txt") == "be kind"
    assert call(customer, "library", "resource.get", "secret.txt") == ("item-not-found", None, None)
    assert shop.resource("library", "terms.txt", "be kinder" + "!" * 50000, "--open") == 2
    assert call(customer, "library", "resource.get", "terms.txt") == limit("output")
    assert call(customer, "library", "resource.get", "terms.txt 3 6") == "kinder"
    assert call(customer, "library", "resource.get", "terms.txt 50000") == "!" * 9
    shop.host.hostctl("resource", "remove", "library", "terms.txt")
    assert call(customer, "library", "resource.get", "terms.txt") == ("item-not-found", None, None)
    assert shop.resource("library", "terms.txt", "again", "--open") == 3
    assert [row["resource"] for row in shop.host.hostctl_json("resource", "list", "library")] == ["secret.txt", "terms.txt"]


@pytest.mark.parametrize("name, content, options, complaint", [
    ("two words", "x", [], "a name is"),
    ("a.csv", b"\xff\xfe", ["--kind", "table"], "not UTF-8"),
    ("a.png", "no picture", ["--kind", "picture"], "not PNG"),
    ("count", "many", ["--kind", "counter"], "not a whole number"),
    ("a", "x", ["--kind", "song"], "--kind is"),
    ("big", b"x" * 70000, [], "application_data"),
])
def test_a_resource_that_cannot_be_is_refused_and_says_why(shop, name, content, options, complaint):
    shop.probe("shelf", application_data="64K")
    path = shop.folder / "content"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    run = shop.host.hostctl("resource", "put", "shelf", name, path, *options, check=False)
    assert run.returncode == 1 and complaint in run.stderr, run
    assert shop.host.hostctl_json("resource", "list", "shelf") == []


# --- manifests

@pytest.mark.parametrize("group, complaint", [
    ({"module": "probe.so"}, "[Functions] names: missing"),
    ({"names": "echo"}, "[Functions] module: missing"),
    ({"module": "../probe.so", "names": "echo"}, "[Functions] module: must be a path"),
    ({"module": "probe.so", "names": "echo,echo"}, "[Functions] names: one of them is there twice"),
    ({"module": "probe.so", "names": "1st"}, "[Functions] names: each begins"),
    ({"module": "probe.so", "names": "store.get"}, "[Functions] names: one of them is a function of the host's own"),
    ({"user_data": "much"}, "[Functions] user_data: must be bytes"),
    ({"application_data": "65M"}, "[Functions] application_data: must be bytes"),
    ({"concurrency": "0"}, "[Functions] concurrency: must be"),
    ({"rate": "-1"}, "[Functions] rate: must be"),
    ({"colour": "red"}, "[Functions] colour: unknown key"),
])
def test_a_manifest_with_a_fault_is_refused_by_group_and_key_and_nothing_is_on_sale(shop, group, complaint):
    from lib.host import HostctlError
    with pytest.raises(HostctlError) as error:
        shop.application("faulty", **group)
    assert complaint in error.value.stderr
    assert not [row for row in shop.host.hostctl_json("plugin", "list") if row["plugin"] == "faulty"]


def test_a_manifest_without_the_group_takes_the_functions_away_but_not_the_data(own_shop, callers):
    shop = own_shop()
    shop.probe()
    customer = callers(shop, "probe")
    assert call(customer, "probe", "bump", "n") == "1"
    text = (shop.folder / "probe.manifest").read_text()
    (shop.folder / "plain.manifest").write_text(text.split("[Functions]")[0])
    shop.host.hostctl("plugin", "add", shop.folder / "plain.manifest")
    assert call(customer, "probe", "bump", "n") == ("item-not-found", None, None)
    shop.host.hostctl("plugin", "add", shop.folder / "probe.manifest")
    assert call(customer, "probe", "bump", "n") == "2"


def test_a_module_that_is_not_there_or_is_none_fails_and_says_so_in_the_vendors_log(own_shop, callers):
    shop = own_shop()
    shop.application("absent", "absent.so", ["f"])
    (shop.modules / "text.so").write_text("not an object")
    shop.application("text", "text.so", ["f"])
    customer = callers(shop, "absent", "text")
    assert call(customer, "absent", "f") == failed("unavailable")
    assert call(customer, "text", "f") == failed("unavailable")
    assert shop.log("absent")[-1]["text"] == "there is no such module"


# --- versions side by side

def test_an_upgrade_serves_new_calls_at_once_while_old_ones_finish(own_shop, callers):
    shop = own_shop(modules={"deadline_ms": 10000, "cpu_s": 10})
    shop.probe()
    one, two = callers(shop, "probe"), callers(shop, "probe")
    assert call(two, "probe", "version") == "1"
    running = send_call(one, "probe", "slow-copy", "x 3000")
    wait_until(lambda: shop.log("probe"), 10, "it runs")
    shop.install(BUILD / "tests/functions/probe-2.so", "probe.so")
    assert call(two, "probe", "version") == "2"
    assert [row["running"] for row in shop.host.hostctl_json("function", "list")] == [1], "the old call was to run still"
    assert receive_call(one, running) == "absent"
    assert call(one, "probe", "version") == "2"


# --- queues, and one application beside another

def test_a_user_has_one_running_call_and_eight_that_wait(own_shop, callers):
    shop = own_shop(modules={"deadline_ms": 10000, "cpu_s": 10})
    shop.probe()
    name = shop.user()
    callers(shop, "probe", name=name)
    sessions = [callers(shop, name=name) for _ in range(10)]
    first = send_call(sessions[0], "probe", "slow-copy", "x 1500")
    wait_until(lambda: shop.log("probe"), 10, "it runs")
    waiting = [send_call(session, "probe", "bump", "n") for session in sessions[1:9]]
    wait_until(lambda: shop.host.hostctl_json("function", "list")[0]["waiting"] == 8, 10, "eight wait")
    assert call(sessions[9], "probe", "bump", "n") == limit("rate")
    assert receive_call(sessions[0], first) == "absent"
    assert sorted(receive_call(session, name) for session, name in zip(sessions[1:9], waiting)) == [str(n) for n in range(1, 9)]


def test_an_application_over_its_rate_is_told(own_shop, callers):
    shop = own_shop()
    shop.probe(rate=1)
    customer = callers(shop, "probe")
    answers = [call(customer, "probe", "echo", "x") for _ in range(3)]
    assert answers[0] == "x" and limit("rate") in answers[1:]


def test_a_saturating_application_does_not_keep_another_from_being_served(own_shop, callers):
    shop = own_shop(modules={"deadline_ms": 2000, "cpu_s": 2}, functions={"calls": 4})
    shop.probe("hostile", concurrency=32)
    shop.probe("honest")
    users = [shop.user() for _ in range(4)]
    spinning = []
    for name in users:
        callers(shop, "hostile", name=name)
        for _ in range(3):
            session = callers(shop, name=name)
            spinning.append((session, send_call(session, "hostile", "spin", "100000")))
    customer = callers(shop, "honest")
    wait_until(lambda: [row["running"] for row in shop.host.hostctl_json("function", "list") if row["application"] == "hostile"] == [2],
               10, "it has its half of the places")
    assert [call(customer, "honest", "echo", str(n)) for n in range(20)] == [str(n) for n in range(20)]
    [load] = [row for row in shop.host.hostctl_json("function", "list") if row["application"] == "hostile"]
    assert load["waiting"] > 0, "the hostile one was to be busy still"
    shop.host.hostctl("plugin", "retire", "hostile")
    for session, name in spinning[:2]:
        assert receive_call(session, name, 60)[0] in ("resource-constraint", "service-unavailable")


# --- the samples and hostctl

def test_the_forecast_sample_reads_the_vendors_table(shop, callers):
    shop.install(BUILD / "vendor-kit/functions/libforecast.so")
    shop.application("forecast", "libforecast.so", ["forecast", "places"], application_data="1M")
    customer = callers(shop, "forecast")
    assert call(customer, "forecast", "places") == failed("internal")
    shop.resource("forecast", "climate.csv", (ROOT / "vendor-kit/functions/forecast/climate.csv").read_bytes(), "--kind", "table")
    assert call(customer, "forecast", "places") == "Lisbon\nReykjavik\nSão Paulo\n"
    words = call(customer, "forecast", "forecast", "Lisbon 2026-07-14")
    assert words.startswith("Lisbon, 14 July: ") and words.endswith("(2 %)")
    assert call(customer, "forecast", "forecast", "Lisbon 2026-07-14") == words
    assert call(customer, "forecast", "forecast", "São Paulo 2026-01-02").startswith("São Paulo, 2 January")
    assert call(customer, "forecast", "forecast", "Atlantis 2026-07-14") == failed("bad-input")
    assert call(customer, "forecast", "resource.get", "climate.csv") == ("item-not-found", None, None)


def test_the_documents_sample_counts_for_each_user(shop, callers):
    shop.install(BUILD / "vendor-kit/functions/libdocuments.so")
    shop.application("documents", "libdocuments.so", ["count", "total"], user_data="256K")
    one, two = callers(shop, "documents"), callers(shop, "documents")
    assert call(one, "documents", "count", "one two three") == "words 3, documents 1, new"
    assert call(one, "documents", "count", "four five") == "words 2, documents 2, new"
    assert call(one, "documents", "count", "one two three") == "words 3, documents 2, seen 2 times"
    assert call(one, "documents", "total") == "documents 2, words 8"
    assert call(two, "documents", "total") == "documents 0, words 0"


def test_hostctl_calls_lists_and_logs(shop, callers):
    customer = callers(shop, "probe")
    [row] = shop.host.hostctl_json("function", "call", customer.name, "probe", "echo", "from the operator", "--request", "r1")
    assert row == {"request": "r1", "encoding": "text", "result": "from the operator"}
    run = shop.host.hostctl("function", "call", "nobody", "probe", "echo", check=False)
    assert run.returncode == 1 and "no user" in run.stderr
    stranger = callers(shop)
    run = shop.host.hostctl("function", "call", stranger.name, "probe", "echo", check=False)
    assert run.returncode == 1 and "not licensed" in run.stderr
    [row] = [row for row in shop.host.hostctl_json("function", "list") if row["application"] == "probe"]
    assert row["names"] == ",".join(PROBES) and row["module"] == "probe.so"


# --- from the terminal client

def test_the_terminal_client_calls_a_function(shop, callers, tmp_path):
    customer = callers(shop, "probe")
    client = HostClient(tmp_path / "client", shop.host, customer.name)
    assert client.must("function", "call", "probe", "echo", "from the terminal") == [
        {"encoding": "text", "result": "from the terminal"}]
    [random] = client.must("function", "call", "probe", "random")
    assert random["encoding"] == "base64" and len(base64.b64decode(random["result"])) == 16


@pytest.mark.parametrize("words, complaint", [
    (["probe", "put-and-refuse"], "not today (function-failed): denied"),
    (["probe", "overflow"], "limit-exceeded: output"),
    (["probe", "nothing"], "item-not-found"),
    (["weather", "echo"], "item-not-found"),
    (["unlicensed", "echo"], "not licensed"),
])
def test_the_terminal_client_says_why_a_call_was_refused(shop, callers, tmp_path, words, complaint):
    shop.probe("unlicensed")
    client = HostClient(tmp_path / "client", shop.host, callers(shop, "probe").name)
    code, _objects, error = client.run("function", "call", *words)
    assert code == 1 and complaint in error, (code, error)
