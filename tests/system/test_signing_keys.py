"""The keys that the host signs with: published, rotated, and never forgotten (docs/protocol.md, sections 4 and 7)."""

import json
import sqlite3
import urllib.request

import pytest

from lib.host import Host
from lib.jose import thumbprint


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path)
    try:
        yield host.start()
    finally:
        host.stop()


def published(host):
    with urllib.request.urlopen(f"http://{host.addresses['http']}/.well-known/jwks.json", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "application/jwk-set+json"
        return json.load(answer)["keys"]


def test_the_public_keys_are_published_under_their_thumbprints(host):
    [key] = published(host)
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert key["kid"] == thumbprint(key)
    [row] = host.hostctl_json("key", "list")
    assert (row["key"], row["state"], row["retired"]) == (key["kid"], "in use", None)
    assert host.hostctl_json("key", "show") == [{"keys": [key]}]


def test_the_same_key_signs_after_a_restart(host):
    before = published(host)
    host.restart()
    assert published(host) == before
    host.restart(hard=True)
    assert published(host) == before


def test_a_retired_key_stays_published_and_can_sign_no_more(host):
    [first] = published(host)
    [answer] = host.hostctl_json("key", "rotate")
    new, old = published(host)
    assert new["kid"] == answer["key"] != first["kid"]
    assert {name: old[name] for name in first} == first and old["exp"] > 1_700_000_000 and "exp" not in new
    host.restart(hard=True)
    assert published(host) == [new, old]
    assert [row["state"] for row in host.hostctl_json("key", "list")] == ["in use", "retired"]
    with sqlite3.connect(host.data / "market.db") as db:
        assert db.execute("SELECT sealed IS NULL FROM signing_key ORDER BY retired_us").fetchall() == [(0,), (1,)]


def test_no_private_key_lies_open_in_the_store(host):
    with sqlite3.connect(host.data / "market.db") as db:
        [(sealed, public)] = db.execute("SELECT sealed, public_jwk FROM signing_key").fetchall()
    assert b"\"d\"" not in sealed and b"kty" not in sealed and "\"d\"" not in public
