"""The samples of docs/samples, as an integrator runs them: against the vectors of Standard Webhooks' own libraries, and
against each other."""

import base64
import itertools
import os
import pathlib
import subprocess

import pytest

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "docs/samples"
LANGUAGES = {"shell": ["sh", SAMPLES / "webhook.sh"], "python": ["python3", SAMPLES / "webhook.py"],
             "javascript": ["node", SAMPLES / "webhook.mjs"]}
FIRST = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
         b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
SECOND = ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", "1649367553",
          b'{"email":"test@example.com","username":"test_user"}', "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=")
NOBODYS = "v1," + base64.b64encode(bytes(32)).decode()


@pytest.fixture(params=LANGUAGES, scope="module")
def language(request):
    return request.param


def run(language, secret, body, *arguments):
    return subprocess.run([*LANGUAGES[language], *map(str, arguments)], input=body, capture_output=True, timeout=20,
                          env={"PATH": os.environ["PATH"], "WEBHOOK_SECRET": secret, "PYTHONDONTWRITEBYTECODE": "1"})


def sign(language, secret, webhook_id, timestamp, body):
    done = run(language, secret, body, "sign", webhook_id, timestamp)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def accepts(language, secret, webhook_id, timestamp, body, signature, now):
    done = run(language, secret, body, "verify", webhook_id, timestamp, signature, now)
    assert done.returncode in (0, 1) and (done.returncode == 0) == (done.stderr == b""), done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("vector", [FIRST, SECOND])
def test_a_sample_signs_as_the_specification_does(language, vector):
    secret, webhook_id, timestamp, body, signature = vector
    assert sign(language, secret, webhook_id, timestamp, body) == signature


@pytest.mark.parametrize("vector", [FIRST, SECOND])
@pytest.mark.parametrize("away", [-300, 0, 300])
def test_a_sample_takes_what_the_specification_signed(language, vector, away):
    secret, webhook_id, timestamp, body, signature = vector
    for entries in [signature, f"{NOBODYS} {signature}", f"v1a,AAAA {signature} v2,x"]:
        assert accepts(language, secret, webhook_id, timestamp, body, entries, int(timestamp) + away)


@pytest.mark.parametrize("what, change", [
    ("a changed signature", {"signature": FIRST[4].replace("1OE=", "1OA=")}),
    ("no signature", {"signature": "v1,"}),
    ("nothing at all", {"signature": ""}),
    ("another version", {"signature": FIRST[4].replace("v1,", "v1a,")}),
    ("a pattern of the shell", {"signature": "v1,*"}),
    ("somebody else's", {"secret": SECOND[0]}),
    ("another body", {"body": FIRST[3] + b"\n"}),
    ("another id", {"webhook_id": "msg_other"}),
    ("another time", {"timestamp": "1614265331"}),
    ("a word for a time", {"timestamp": "hello"}),
    ("301 s ago", {"now": 1614265330 + 301}),
    ("301 s ahead", {"now": 1614265330 - 301}),
    ("an empty secret", {"secret": ""}),
    ("a secret of nothing", {"secret": "whsec_"}),
    ("a secret that is short", {"secret": "whsec_" + base64.b64encode(bytes(23)).decode()})])
def test_a_sample_refuses(language, what, change):
    secret, webhook_id, timestamp, body, signature = FIRST
    good = {"secret": secret, "webhook_id": webhook_id, "timestamp": timestamp, "body": body, "signature": signature,
            "now": 1614265330}
    assert accepts(language, **good)
    assert not accepts(language, **{**good, **change}), what


@pytest.mark.parametrize("body", [b"", bytes(range(256)) * 8, b"x" * 20000, "{\"n\":\"Zoë €\"}\n\n".encode()],
                         ids=["empty", "bytes", "largest", "utf-8"])
def test_what_one_sample_signs_every_other_takes(body):
    secret = "whsec_" + base64.b64encode(bytes(range(64))).decode()
    signatures = {language: sign(language, secret, "msg_1", "1700000000", body) for language in LANGUAGES}
    assert len(set(signatures.values())) == 1, signatures
    for signer, reader in itertools.permutations(LANGUAGES, 2):
        assert accepts(reader, secret, "msg_1", "1700000000", body, signatures[signer], 1700000000)
