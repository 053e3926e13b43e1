# SPDX-License-Identifier: MIT
"""A folder of PEM files for scripts that speak TLS, and the authority that signs them, by python3-cryptography:
another implementation than the one that is tested. certificates.c is the same for tests in C."""
import datetime
import ipaddress
import os
import tempfile

import gateway

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    gateway.skip("there is no python3-cryptography")

HOUR_S = 3600
DAY_S = 24 * HOUR_S
PEM = serialization.Encoding.PEM


class Certificates:
    """The paths are fields:
      ca                       the authority
      server, server_key       localhost, 127.0.0.1 and ::1
      client, client_key       the common name `client`
      expired, expired_key     for localhost; an hour ago was its end
    """

    def __init__(self, client="alice"):
        self.folder = tempfile.mkdtemp(dir=gateway.scratch)
        self._issued = {}
        self.ca, _ = self.issue("ca", "fluxbp test CA", issuer="ca", is_authority=True)
        self.server, self.server_key = self.issue("server", names=("localhost", "127.0.0.1", "::1"))
        self.client, self.client_key = self.issue("client", client)
        self.expired, self.expired_key = self.issue("expired", names=("localhost",), begins_in_s=-DAY_S,
                                                    ends_in_s=-HOUR_S)

    def issue(self, file, common_name=None, names=(), issuer="ca", is_authority=False, begins_in_s=-HOUR_S,
              ends_in_s=30 * DAY_S):
        """Write file.pem and file.key, which its owner alone can read. `issuer` is the file of another one, whose
        certificate is in file.pem, too, if it isn't "ca"; or its own, if it signs itself. Times are seconds from now.
        Returns both paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(common_name)
        parent, parent_key = self._issued[issuer] if issuer != file else (None, key)
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder()
                   .subject_name(subject)
                   .issuer_name(parent.subject if parent else subject)
                   .public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(seconds=begins_in_s))
                   .not_valid_after(now + datetime.timedelta(seconds=ends_in_s)))
        for extension, is_critical in _extensions(key, parent_key, subject, names, is_authority):
            builder = builder.add_extension(extension, is_critical)
        certificate = builder.sign(parent_key, hashes.SHA256())
        self._issued[file] = certificate, key
        chain = certificate.public_bytes(PEM) + (parent.public_bytes(PEM) if parent and issuer != "ca" else b"")
        secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return self.write(file + ".pem", chain), self.write(file + ".key", secret)

    def path(self, file):
        return os.path.join(self.folder, file)

    def write(self, file, data):
        """Write a file that its owner alone can read, in the place of one that is there. Returns its path."""
        new = self.path(file + ".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(data)
        os.replace(new, self.path(file))
        return self.path(file)


def _name(common_name):
    return x509.Name([] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _extensions(key, parent_key, subject, names, is_authority):
    """Pairs: the extension, and whether it is critical."""
    usages = {usage: False for usage in (
        "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only",
        "decipher_only")}
    yield x509.BasicConstraints(ca=is_authority, path_length=None), True
    yield x509.KeyUsage(digital_signature=not is_authority, key_cert_sign=is_authority, **usages), True
    yield x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
    yield x509.AuthorityKeyIdentifier.from_issuer_public_key(parent_key.public_key()), False
    if not is_authority:
        yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False
    if names:  # critical if there is no other name (RFC 5280, 4.1.2.6)
        yield x509.SubjectAlternativeName([_general_name(name) for name in names]), not list(subject)
