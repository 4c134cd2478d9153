#!/usr/bin/env python3
"""Standard Webhooks in Python, with the standard library alone. As a program, the body on standard input:

    WEBHOOK_SECRET=whsec_… webhook.py sign ID TIMESTAMP <body                     prints the signature header
    WEBHOOK_SECRET=whsec_… webhook.py verify ID TIMESTAMP SIGNATURE [NOW] <body    exit code 0: authentic
"""

import base64
import hashlib
import hmac
import os
import sys
import time

TOLERANCE_S = 300


class NotAuthentic(Exception):
    pass


def read_key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        raise ValueError("the secret must begin with whsec_")
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    if not 24 <= len(key) <= 64:
        raise ValueError("the secret must hold 24 to 64 bytes")
    return key


def sign(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    """The value of webhook-signature, over the exact bytes that are sent."""
    content = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(read_key(secret), content, hashlib.sha256).digest()).decode()


def verify(secret: str, webhook_id: str, timestamp: str, signatures: str, body: bytes, now: float | None = None) -> None:
    """Raises NotAuthentic unless the headers are good for the exact bytes that came. Call it before parsing them."""
    if not timestamp.isascii() or not timestamp.isdigit():
        raise NotAuthentic("the timestamp is not digits alone")
    if abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE_S:
        raise NotAuthentic("the timestamp is over 300 s away")
    wanted = sign(secret, webhook_id, timestamp, body).encode()
    # Several, while a secret is being changed; all are compared, so that the time it takes says nothing.
    matches = [hmac.compare_digest(entry.encode(), wanted) for entry in signatures.split(" ")]
    if not any(matches):
        raise NotAuthentic("no signature matches")


def main(command, webhook_id, timestamp, *rest):
    secret, body = os.environ["WEBHOOK_SECRET"], sys.stdin.buffer.read()
    if command == "sign" and not rest:
        print(sign(secret, webhook_id, timestamp, body))
    elif command == "verify" and rest:
        verify(secret, webhook_id, timestamp, rest[0], body, *map(float, rest[1:]))
    else:
        raise ValueError(__doc__)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (NotAuthentic, ValueError, TypeError, KeyError) as error:
        sys.exit(f"webhook.py: {error}")
