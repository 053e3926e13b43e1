# SPDX-License-Identifier: MIT
"""Keys and JSON Web Tokens by the openssl command: another implementation than the one that is tested."""
import base64
import json
import os
import subprocess
import tempfile
import time

import gateway


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


class Key:
    """A pair of keys, of EdDSA, RS256 or ES256; the public one is at .public."""

    KINDS = {"EdDSA": ("-algorithm", "ed25519"), "RS256": ("-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"),
             "ES256": ("-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")}

    def __init__(self, algorithm="EdDSA"):
        folder = tempfile.mkdtemp(dir=gateway.scratch)
        self.algorithm = algorithm
        self.private = os.path.join(folder, "key.pem")
        self.public = os.path.join(folder, "public.pem")
        _openssl("genpkey", *self.KINDS[algorithm], "-out", self.private)
        _openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def _sign(self, data):
        with tempfile.NamedTemporaryFile(dir=gateway.scratch) as file:
            file.write(data)
            file.flush()
            if self.algorithm == "EdDSA":
                return _openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", file.name)
            signature = _openssl("dgst", "-sha256", "-sign", self.private, file.name)
        return signature if self.algorithm == "RS256" else _two_numbers(signature)

    def token(self, seconds=600, **claims):
        """A token that is good for so long. `fluxbp` is the claim with the rights."""
        header = {"alg": self.algorithm, "typ": "JWT"}
        now = int(time.time())
        claims = {"iat": now, "exp": now + seconds, **claims}
        text = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        return (text + b"." + _base64url(self._sign(text))).decode()


def _two_numbers(der):
    """The two numbers of an ECDSA signature in ASN.1, 32 bytes each."""
    numbers, place = [], 2
    for _ in range(2):
        length = der[place + 1]
        numbers.append(der[place + 2:place + 2 + length].lstrip(b"\0").rjust(32, b"\0"))
        place += 2 + length
    return b"".join(numbers)


def subscribe_to(*patterns, **more):
    return {"subscribe": list(patterns), **more}
