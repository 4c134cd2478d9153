"""What monitoring and `module list` say of vendors' modules, and of calls of functions."""

import os
import shutil

import pytest

from lib.functions import FunctionShop, call, receive_call, send_call
from lib.process import BUILD, wait_until
from lib.metrics import metrics


@pytest.fixture
def shop(tmp_path):
    one = FunctionShop(tmp_path / "shop", modules={"deadline_ms": 300})
    try:
        one.start()
        one.probe()
        yield one
    finally:
        one.stop()


def listed(shop, module):
    [row] = [row for row in shop.host.hostctl_json("module", "list") if row["module"] == module]
    return row


def state(samples, module):
    """(profile, state) of the one sample that is 1; each state of a module has one."""
    mine = {name: value for name, value in samples.items() if name.startswith(f'stoa_module_state{{module="{module}"')}
    assert len(mine) == 5 and sum(mine.values()) == 1
    [name] = [name for name, value in mine.items() if value == 1]
    return name.split('"')[3], name.split('"')[5]


def calls(samples, module):
    return {name.split('"')[3]: value for name, value in samples.items()
            if name.startswith(f'stoa_module_calls_total{{module="{module}"') and value}


def answers(samples, application):
    return {name.split('"')[3]: value for name, value in samples.items()
            if name.startswith(f'stoa_function_calls_total{{application="{application}"') and value}


def test_a_module_of_functions_is_shown_with_its_calls(shop):
    assert state(metrics(shop), "probe.so") == ("none", "installed")
    customer = shop.caller("probe")
    for function, argument in (("echo", "a"), ("put-and-refuse", ""), ("unknown", ""), ("spin", "5000"), ("exit", "")):
        call(customer, "probe", function, argument)
    now = metrics(shop)
    assert calls(now, "probe.so") == {"ok": 1, "error": 2, "timeout": 1, "crash": 1}
    assert state(now, "probe.so") == ("function", "running")
    assert now['stoa_module_call_seconds_total{module="probe.so"}'] > 0.29
    assert now['stoa_module_deaths_total{module="probe.so"}'] == now['stoa_module_quarantines_total{module="probe.so"}'] == 0
    assert 'stoa_module_spares{module="probe.so"}' in now
    assert answers(now, "probe") == {"ok": 1, "failed": 3, "limit": 1}
    row = listed(shop, "probe.so")
    assert (row["profile"], row["state"], row["calls"], row["faults"]) == ("function", "running", 2, 3)
    assert "exited with status 0" in row["reason"]
    # The keygen made the licence.
    assert state(now, "libweather-keygen.so") == ("keygen", "running") and calls(now, "libweather-keygen.so") == {"ok": 1}
    assert now['stoa_modules{state="running"}'] == 2 and now['stoa_modules{state="crashed"}'] == 0
    customer.close()


def test_calls_that_reach_no_module_count_by_their_answer(shop):
    customer, other = shop.caller("probe"), shop.caller()
    call(customer, "probe", "nonesuch")
    call(other, "probe", "echo", "a")
    call(customer, "anything-at-all", "echo", "a")
    assert call(customer, "probe", "store.put", "k\nv") == ""
    now = metrics(shop)
    assert answers(now, "probe") == {"not-found": 1, "forbidden": 1, "ok": 1}
    assert answers(now, "") == {"not-found": 1} and not any("anything" in name for name in now)
    customer.close()
    other.close()


def test_what_waits_and_what_runs_is_shown(shop):
    customer = shop.caller("probe")
    sent = [send_call(customer, "probe", "spin", "250") for _each in range(2)]
    second = shop.caller(name=customer.name)
    sent_second = send_call(second, "probe", "spin", "250")
    wait_until(lambda: (lambda now: now.get('stoa_function_running{application="probe"}') == 1
                        and now['stoa_function_queue{application="probe"}'] >= 1)(metrics(shop)), 10, "one runs and one waits")
    for name in sent:
        receive_call(customer, name)
    receive_call(second, sent_second)
    now = metrics(shop)
    assert now['stoa_function_running{application="probe"}'] == now['stoa_function_queue{application="probe"}'] == 0
    customer.close()
    second.close()


def test_a_module_that_cannot_be_used_says_why_and_counts(shop):
    shop.install(BUILD / "tests/check/keygen-other-abi.so", "older.so")
    shop.install(BUILD / "tests/check/keygen-crash.so", "crashing.so")
    for name, module in (("old", "older.so"), ("worn", "crashing.so")):
        shop.plugin(name, source="keygen", module=module, price=0)
    customer = shop.customer()
    customer.serials()
    customer.buy("old")
    wait_until(lambda: listed(shop, "older.so")["state"] == "refused", 10, "it is refused")
    assert "host/module.h" in listed(shop, "older.so")["reason"]
    customer.buy("worn")
    wait_until(lambda: calls(metrics(shop), "crashing.so").get("crash"), 10, "it crashed")
    now = metrics(shop)
    assert state(now, "older.so") == ("keygen", "refused")
    assert now['stoa_module_call_seconds_total{module="crashing.so"}'] > 0
    customer.close()


def test_more_modules_than_are_shown_are_counted(shop):
    for number in range(105):
        shutil.copy(BUILD / "tests/functions/probe-1.so", shop.modules / f"many-{number}.so")
    now = metrics(shop)
    shown = {name.split('"')[1] for name in now if name.startswith("stoa_module_state{")}
    counted = sum(value for name, value in now.items() if name.startswith("stoa_modules{"))
    # As root each has a user of its own, of 64.
    assert counted == (64 if os.geteuid() == 0 else 107) and len(shown) == min(counted, 100)
