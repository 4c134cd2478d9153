"""Authentication: RFC 6120 §6, RFC 5802 and 7677 (SCRAM), RFC 4616 (PLAIN)."""

import base64

import pytest

from lib.scram import Scram
from lib.xmpp import SASL, SaslFailure

CONFIG = {"limits": {"login_failures_per_minute": 0}}


@pytest.fixture
def secure(client):
    one = client()
    one.starttls()
    one.open()
    return one


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
def test_login(session, mechanism):
    session(mechanism=mechanism).barrier()


def test_mechanisms_strongest_first(secure):
    offered = secure.mechanisms()
    assert offered[0] == "SCRAM-SHA-256" and "SCRAM-SHA-1" in offered and "PLAIN" in offered
    assert not any(name.endswith("-PLUS") for name in offered)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
def test_wrong_password(secure, account, mechanism):
    with pytest.raises(SaslFailure) as failure:
        secure.authenticate(account(), "wrong-word", mechanism)
    assert failure.value.condition == "not-authorized"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
def test_unknown_user_looks_like_a_wrong_password(secure, mechanism):
    with pytest.raises(SaslFailure) as failure:
        secure.authenticate("nobody-of-that-name", "wrong-word", mechanism)
    assert failure.value.condition == "not-authorized"


def test_right_password_after_a_wrong_one(secure, account):
    user = account()
    with pytest.raises(SaslFailure):
        secure.authenticate(user, "wrong-word")
    secure.authenticate(user, "secret-word")


def test_false_salt_of_an_unknown_user_stays_the_same(client, account):
    """Else one could ask who has an account: RFC 5802's salt and count must look alike and not change."""
    def challenge(user, mechanism):
        one = client()
        one.starttls()
        one.open()
        scram = Scram(mechanism, user, "x")
        _, text = one.auth(mechanism, scram.first())
        fields = dict(part.split("=", 1) for part in text.decode().split(","))
        return fields["s"], fields["i"]

    known = account()
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
        salt, count = challenge("nobody-of-that-name", mechanism)
        assert (salt, count) == challenge("nobody-of-that-name", mechanism)
        assert salt != challenge("another-nobody", mechanism)[0]
        real_salt, real_count = challenge(known, mechanism)
        assert count == real_count
        assert len(base64.b64decode(salt)) == len(base64.b64decode(real_salt))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
@pytest.mark.parametrize("change", [{"proof_change": 1}, {"nonce": "another-nonce"}])
def test_wrong_proof_or_nonce(secure, account, mechanism, change):
    scram = Scram(mechanism, account(), "secret-word")
    _, challenge = secure.auth(mechanism, scram.first())
    with pytest.raises(SaslFailure) as failure:
        secure.respond(scram.final(challenge, **change))
    assert failure.value.condition in ("not-authorized", "malformed-request")


def test_final_message_of_another_exchange(secure, account):
    """A proof is good for the nonces it was made for."""
    scram = Scram("SCRAM-SHA-256", account(), "secret-word")
    _, challenge = secure.auth("SCRAM-SHA-256", scram.first())
    stale = scram.final(challenge)
    with pytest.raises(SaslFailure):
        secure.respond(b"n=x")
    again = Scram("SCRAM-SHA-256", scram.user, "secret-word")
    secure.auth("SCRAM-SHA-256", again.first())
    with pytest.raises(SaslFailure) as failure:
        secure.respond(stale)
    assert failure.value.condition in ("not-authorized", "malformed-request")


def test_channel_binding_that_was_not_offered(secure, account):
    """`y` (the client could, and thinks we cannot) is right here; `p=` asks for what was never offered."""
    user = account()
    scram = Scram("SCRAM-SHA-256", user, "secret-word", gs2="p=tls-unique,,")
    with pytest.raises(SaslFailure) as failure:
        _, challenge = secure.auth("SCRAM-SHA-256", scram.first())
        secure.respond(scram.final(challenge))
    assert failure.value.condition in ("malformed-request", "not-authorized")
    scram = Scram("SCRAM-SHA-256", user, "secret-word", gs2="y,,")
    _, challenge = secure.auth("SCRAM-SHA-256", scram.first())
    secure.respond(scram.final(challenge))


def test_gs2_header_must_be_repeated_exactly(secure, account):
    """`n` first and `y` in the bound part is what a man in the middle makes of it."""
    scram = Scram("SCRAM-SHA-256", account(), "secret-word")
    _, challenge = secure.auth("SCRAM-SHA-256", scram.first())
    scram.gs2 = "y,,"
    with pytest.raises(SaslFailure) as failure:
        secure.respond(scram.final(challenge))
    assert failure.value.condition in ("not-authorized", "malformed-request")


@pytest.mark.parametrize("initial", [
    b"", b"n", b"n,", b"n,,", b"n,,n=", b"n,,r=abc,n=user", b"n,,n=user", b"n,,n=user,r=", b"n,,n=us=er,r=abc",
    b"n,,m=ext,n=user,r=abc", b"x,,n=user,r=abc", b"n,,n=\xff,r=abc", b"n,,n=a\x00b,r=abc", b"n,,n=u,r=\x01",
    b"n,," + b"n=" + b"u" * 5000 + b",r=abc",
])
def test_malformed_scram_first_message(secure, account, initial):
    with pytest.raises(SaslFailure) as failure:
        name, data = secure.auth("SCRAM-SHA-256", initial)
        if name == "challenge" and not data:  # it took the empty message for none and asks for it
            secure.respond(b"n,,n=")
        secure.respond(b"c=biws,r=abc,p=AAAA")
    assert failure.value.condition in ("malformed-request", "not-authorized", "incorrect-encoding")
    secure.authenticate(account(), "secret-word")


@pytest.mark.parametrize("final", [
    b"", b"c=biws", b"c=biws,r={r}", b"r={r},c=biws,p={p}", b"c=biws,r={r},p=", b"c=biws,r={r},p=%%%",
    b"c=biws,r={r},p=AAAA", b"c=,r={r},p={p}", b"c=biws,r={r},x=1,p={p}A", b"c=biws,r={r},p={p},x=1",
])
def test_malformed_scram_final_message(secure, account, final):
    scram = Scram("SCRAM-SHA-256", account(), "secret-word")
    _, challenge = secure.auth("SCRAM-SHA-256", scram.first())
    good = dict(part.split(b"=", 1) for part in scram.final(challenge).split(b","))
    with pytest.raises(SaslFailure) as failure:
        secure.respond(final.replace(b"{r}", good[b"r"]).replace(b"{p}", good[b"p"]))
    assert failure.value.condition in ("malformed-request", "not-authorized")


@pytest.mark.parametrize("initial", [
    b"", b"user", b"\0user", b"\0\0secret-word", b"\0user\0", b"\0user\0secret-word\0more", b"\0us\xffer\0secret-word",
    b"someone-else@stoa.test\0user\0secret-word",
])
def test_malformed_plain(secure, initial):
    with pytest.raises(SaslFailure) as failure:
        name, _ = secure.auth("PLAIN", initial)
        if name == "challenge":
            secure.respond(b"user")
    assert failure.value.condition in ("malformed-request", "not-authorized", "invalid-authzid")


@pytest.mark.parametrize("authzid, good", [("{user}@stoa.test", True), ("", True), ("other@stoa.test", False),
                                           ("{user}@elsewhere.test", False), ("{user}@stoa.test/phone", False)])
def test_authorization_identity_is_oneself(secure, account, authzid, good):
    user = account()
    initial = f"{authzid.format(user=user)}\0{user}\0secret-word".encode()
    if good:
        assert secure.auth("PLAIN", initial)[0] == "success"
        return
    with pytest.raises(SaslFailure) as failure:
        secure.auth("PLAIN", initial)
    assert failure.value.condition in ("invalid-authzid", "not-authorized")


@pytest.mark.parametrize("text, conditions", [
    ("!!!!", ["incorrect-encoding", "malformed-request"]),
    ("AGFsaWNl=AHg=", ["incorrect-encoding", "malformed-request", "not-authorized"]),
    (" AGFsaWNlAHNlY3JldA", ["incorrect-encoding", "malformed-request", "not-authorized"]),
])
def test_base64_that_is_none(secure, text, conditions):
    with pytest.raises(SaslFailure) as failure:
        secure.sasl_step(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{text}</auth>")
    assert failure.value.condition in conditions


def test_abort(secure, account):
    user = account()
    scram = Scram("SCRAM-SHA-256", user, "secret-word")
    secure.auth("SCRAM-SHA-256", scram.first())
    with pytest.raises(SaslFailure) as failure:
        secure.sasl_step(f"<abort xmlns='{SASL}'/>")
    assert failure.value.condition == "aborted"
    secure.authenticate(user, "secret-word")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "DIGEST-MD5", "EXTERNAL", "ANONYMOUS", "", "plain"])
def test_mechanism_not_offered(secure, mechanism):
    with pytest.raises(SaslFailure) as failure:
        secure.sasl_step(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>AHgAeA==</auth>")
    assert failure.value.condition == "invalid-mechanism"


def test_response_without_auth(secure):
    secure.send(f"<response xmlns='{SASL}'>AAAA</response>")
    answer = secure.next()
    assert answer.tag in (f"{{{SASL}}}failure", "{http://etherx.jabber.org/streams}error"), answer.tag


def test_auth_after_login_ends_the_stream(session):
    one = session()
    one.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>AHgAeA==</auth>")
    one.expect_stream_error("unsupported-stanza-type|not-authorized|policy-violation|invalid-namespace")


def test_user_name_is_prepared(client, account):
    """nodeprep folds case: the same account by another spelling."""
    user = account("mixed")
    one = client()
    one.login(user.upper().replace("MIXED", "MiXeD"), "secret-word", mechanism="PLAIN")
    assert one.jid.startswith(user + "@")


def test_password_is_prepared(host, client, account):
    """SASLprep (RFC 4013): a soft hyphen disappears, a ligature is taken apart."""
    name = account("prepared") + "x"
    host.add_user(name, "pass\u00adword-\ufb01ne")
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        client().login(name, "password-fine", mechanism=mechanism)


def test_too_many_failures_end_the_stream(client, account):
    user = account()
    one = client()
    one.starttls()
    one.open()
    with pytest.raises(AssertionError):
        for _ in range(20):
            with pytest.raises(SaslFailure):
                one.authenticate(user, "wrong-word")
    one.expect_closed()
    client().login(user, "secret-word")


def test_nothing_secret_is_logged(host, session):
    session(mechanism="PLAIN")
    log = host.process.log()
    assert "secret-word" not in log and base64.b64encode(b"secret-word").decode() not in log
