"""SCRAM of RFC 5802 and RFC 7677, the client's side, step by step so that a test can say something wrong."""

import base64
import hashlib
import hmac
import os

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


class ScramError(Exception):
    pass


class Scram:
    def __init__(self, mechanism, user, password, gs2="n,,"):
        self.hash = HASHES[mechanism]
        self.user, self.password, self.gs2 = user, password, gs2
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.server_signature = None

    def first(self):
        name = self.user.replace("=", "=3D").replace(",", "=2C")
        self.first_bare = f"n={name},r={self.nonce}"
        return (self.gs2 + self.first_bare).encode()

    def final(self, challenge, *, nonce=None, proof_change=0):
        """The answer to the server's first message; `nonce` and `proof_change` make it a wrong one."""
        challenge = challenge.decode()
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        if not fields["r"].startswith(self.nonce) or fields["r"] == self.nonce:
            raise ScramError("the server's nonce does not extend ours")
        self.iterations, self.salt = int(fields["i"]), base64.b64decode(fields["s"])
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), self.salt, self.iterations)
        client_key = self._hmac(salted, b"Client Key")
        bare = f"c={base64.b64encode(self.gs2.encode()).decode()},r={nonce or fields['r']}"
        message = ",".join([self.first_bare, challenge, bare]).encode()
        signature = self._hmac(hashlib.new(self.hash, client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        proof = bytes([proof[0] ^ proof_change]) + proof[1:]
        self.server_signature = self._hmac(self._hmac(salted, b"Server Key"), message)
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, outcome):
        """Checks that the server, too, knows the password."""
        if not outcome or outcome.decode() != "v=" + base64.b64encode(self.server_signature).decode():
            raise ScramError("the server's signature is wrong")

    def _hmac(self, key, text):
        return hmac.new(key, text, self.hash).digest()
