# SPDX-License-Identifier: MIT
"""What the tests of TLS share: a gateway with all doors for it, contexts of clients, and clients that hold the bytes of TLS in
their own hands."""
import socket
import ssl

import gateway
from wire import Closed, OverTls, Wire

TLS_DOORS = ("tcp-tls", "tcp-length-tls", "http-tls")


def start(certificates, *arguments, **options):
    """A gateway with the plain doors and those for TLS."""
    doors = [word for door in ("tcp-length", *TLS_DOORS) for word in (f"--{door}", gateway.ANY)]
    return gateway.Gateway(*doors, "--tls-cert", certificates.server, "--tls-key", certificates.server_key, *arguments,
                           **options)


def client_context(certificates, version=None, client=None, ca=None):
    """Of a client that trusts the authority, and shows `client`: a certificate and its key, or none."""
    context = ssl.create_default_context(cafile=ca or certificates.ca)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if client is not None:
        context.load_cert_chain(*client)
    return context


class Hand:
    """A client that decides itself which bytes it sends. `said` has what it has to send and hasn't yet."""

    def __init__(self, address, context, name="localhost", receive_buffer=None):
        self.wire = Wire(address, receive_buffer)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.step()

    def step(self):
        """Returns whether the handshake has ended."""
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def to_send(self):
        return self.outgoing.read()

    def flush(self):
        self.wire.send(self.to_send())

    def receive(self):
        data = self.wire.socket.recv(65536)
        if not data:
            raise Closed()
        self.incoming.write(data)

    def finish(self):
        """Comes so far that the client has something to send for the second time, with which its part of the handshake ends."""
        self.flush()
        while not self.outgoing.pending:
            self.receive()
            self.step()

    def await_end(self):
        while not self.step():
            self.receive()

    def handshake(self):
        self.finish()
        self.flush()
        self.await_end()

    def encrypt(self, data):
        """Records."""
        self.tls.write(data)
        return self.to_send()

    def read(self):
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.receive()

    def close(self):
        self.wire.close()


def client_hello(context):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def rest_of(address, data, ends=True):
    """What the server says to these bytes until it closes; None: it has reset the connection."""
    with socket.create_connection(address, timeout=gateway.DEADLINE_S) as connection:
        said = b""
        try:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while received := connection.recv(65536):
                said += received
        except ConnectionError:
            return None
    return said


def over(address, certificates, **options):
    return OverTls(address, client_context(certificates, **options))
