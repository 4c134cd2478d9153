"""What a command refuses, and what a stranger can make the server keep."""

import pytest

from lib.commands import Commander, FORM, submit
from lib.market import Shop
from lib.process import wait_until


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("shop"), limits={"command_sessions_per_user": 2, "command_sessions": 3,
                                                        "command_session_s": 60})
    one.start()
    yield one
    one.stop()


@pytest.fixture
def person(shop):
    one = Commander(shop.host.login(shop.user()), shop.host.domain)
    yield one
    one.client.close()


@pytest.mark.parametrize("attributes, payload, expected", [
    ({"node": "dance"}, "", ("item-not-found", None)),
    ({"node": None}, "", ("bad-request", None)),
    ({"node": "buy", "action": "dance"}, "", ("bad-request", "malformed-action")),
    ({"node": "buy", "action": "next"}, "", ("bad-request", "bad-sessionid")),
    ({"node": "buy", "action": "cancel"}, "", ("bad-request", "bad-sessionid")),
    ({"node": "buy", "session": "1"}, "", ("bad-request", "bad-sessionid")),
    ({"node": "buy", "more": " xml:lang='de'"}, "", ("bad-request", "bad-locale")),
    ({"node": "buy"}, "<x xmlns='jabber:x:data' type='result'/>", ("bad-request", "bad-payload")),
    ({"node": "buy"}, submit({"plugin": ["dice", "weather"]}), ("bad-request", "bad-payload")),
    ({"node": "buy"}, submit({"plugin": "x" * 5000}), ("bad-request", "bad-payload")),
    ({"node": "buy"}, submit({"plugin": ["x"] * 900}), ("bad-request", "bad-payload")),
])
def test_bad_requests_are_refused_by_their_cause(person, attributes, payload, expected):
    answer = person.send(payload=payload, **attributes)
    assert answer.error()[:2] == expected
    assert person.run("catalog").status == "completed"  # and the session of the user lives


def test_a_request_over_the_limit_of_trees_is_refused(person):
    keys = "".join(f"<field var='k{number}'><value>{'x' * 500}</value></field>" for number in range(400))
    answer = person.send("buy", payload=f"<x xmlns='{FORM}' type='submit'>{keys}</x>")
    assert answer.error()[0] == "policy-violation"


def test_a_session_cannot_be_used_from_elsewhere(shop, person):
    first = person.send("buy")
    other = Commander(shop.host.login(shop.user()), shop.host.domain)
    same = Commander(shop.host.login(person.client.jid.split("@")[0], "elsewhere"), shop.host.domain)
    for stranger in (other, same):
        assert stranger.send("buy", first.session, None, submit({"plugin": "dice"})).error()[1] == "bad-sessionid"
        stranger.client.close()
    assert person.send("decline", first.session, "cancel").error()[1] == "bad-sessionid"
    assert person.send("buy", first.session, "cancel").status == "canceled"


def test_a_user_has_so_many_sessions_and_the_oldest_gives_way(shop, person):
    first, second, third = (person.send("buy").session for _ in range(3))
    assert len({first, second, third}) == 3
    assert person.send("buy", first, "cancel").error()[1] == "session-expired"
    assert person.send("buy", second, "cancel").status == "canceled"
    assert person.send("buy", third, "cancel").status == "canceled"


def test_all_users_together_have_so_many_and_a_stream_takes_its_own_along(shop, person):
    full = [Commander(shop.host.login(shop.user()), shop.host.domain) for _ in range(3)]
    for one in full:
        assert one.send("buy").status == "executing"
    assert person.send("buy").error()[0] == "resource-constraint"
    assert person.run("catalog").status == "completed"  # what keeps nothing goes on
    for one in full:
        one.client.close()
    wait_until(lambda: person.send("buy").type == "result", 10, "room for a session")


def test_a_session_that_is_not_continued_ends(tmp_path):
    shop = Shop(tmp_path, limits={"command_session_s": "0.3"})
    shop.start()
    person = Commander(shop.host.login(shop.user()), shop.host.domain)
    try:
        first = person.send("buy")
        # An action that the stage does not take is refused, and does not keep the session alive.
        wait_until(lambda: person.send("buy", first.session, "prev").error()[1] == "session-expired", 10, "the end")
        assert person.send("buy", first.session, "next", submit({"plugin": "dice"})).error()[:2] == \
            ("not-allowed", "session-expired")
    finally:
        person.client.close()
        shop.stop()


def test_sessions_do_not_outlive_the_server(tmp_path):
    shop = Shop(tmp_path)
    shop.start()
    name = shop.user()
    person = Commander(shop.host.login(name, "one"), shop.host.domain)
    try:
        first = person.send("buy", payload=submit({"plugin": "dice"}))
        person.client.close()
        shop.host.restart()
        person = Commander(shop.host.login(name, "one"), shop.host.domain)
        assert person.send("buy", first.session, "complete").error()[1] == "bad-sessionid"
        assert person.run("orders").rows() == []
    finally:
        person.client.close()
        shop.stop()


def test_many_plugins_are_searched_and_named_not_listed(tmp_path):
    shop = Shop(tmp_path)
    shop.start()
    for number in range(205):
        shop.plugin(f"many-{number:03}", source="pool", price=0)
    person = Commander(shop.host.login(shop.user()), shop.host.domain)
    try:
        asked = person.send("catalog")
        assert asked.status == "executing" and asked.execute == "complete"
        found = person.send("catalog", asked.session, None, submit({"query": "many-07"}))
        assert [row["id"] for row in found.rows()] == [f"many-07{digit}" for digit in range(10)]
        all_of_them = person.send("catalog", person.send("catalog").session, None, submit({}))
        assert len(all_of_them.rows()) == 100 and "208 plugins were found" in all_of_them.said("warn")
        choice = person.send("buy")
        assert choice.fields()["plugin"][0] == "text-single"
        assert person.send("buy", choice.session, None, submit({"plugin": "DICE"})).error()[1] == "bad-payload"
        assert person.send("buy", choice.session, None, submit({"plugin": "chess"})).said("error") == \
            "Not ordered: no such plugin is on sale."
        assert person.run("buy", {"plugin": "dice"}, {}).urls
    finally:
        person.client.close()
        shop.stop()
