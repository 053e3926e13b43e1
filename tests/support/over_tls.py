# SPDX-License-Identifier: MIT
"""With FLUXBP_E2E_TLS=1 a test runs over TLS as it is: the gateways that it starts have doors for TLS in the place of the plain
ones, and the sockets that it connects to them speak TLS by themselves. gateway.py imports this first.

What speaks TLS is any socket.socket() that blocks, so also socket.create_connection, http.client and urllib; and a connection of
asyncio's, so also websockets. Programs that the test starts find the authority in their environment: curl, node, Python; they
need an address that says https, as Gateway.url gives it.
"""
import asyncio
import functools
import os
import socket
import ssl
import threading

IS_ON = os.environ.get("FLUXBP_E2E_TLS") == "1"

_DOORS = ("--tcp", "--tcp-length", "--http")
_PORTS = "FLUXBP_E2E_TLS_PORTS"  # in the environment, so that scripts of a test know them, too
_CHUNK = 65536
_certificates = None


@functools.lru_cache
def _context():
    """No session is resumed, so every connection has a whole handshake."""
    return ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])


def _is_secured(address):
    return isinstance(address, tuple) and str(address[1]) in os.environ.get(_PORTS, "").split()


def _make_certificates():
    global _certificates
    if _certificates is None:
        import certificates  # which imports gateway.py
        _certificates = certificates.Certificates()
        for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            os.environ[name] = _certificates.ca
    return _certificates


def arguments_of(arguments):
    """Those of a gateway, with the doors for TLS in the place of the plain ones."""
    made = _make_certificates()
    instead = ["--tcp", "off", "--http", "off", "--tls-cert", made.server, "--tls-key", made.server_key]
    for argument in arguments:
        name, equals, value = argument.partition("=")
        instead.append(f"{name}-tls{equals}{value}" if name in _DOORS else argument)
    return instead


def add_ports(ports):
    os.environ[_PORTS] = " ".join([*os.environ.get(_PORTS, "").split(), *map(str, ports)])


def environment():
    """Of a gateway, which takes variables that begin like these for options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FLUXBP_E2E_TLS")}


class Socket(socket.socket):
    """A socket that speaks TLS if it blocks when it is connected to one of the ports. What one call receives or sends is one
    record or more; the socket may stop blocking afterwards, and be waited for by its descriptor."""

    _tls = None

    def connect(self, address):
        super().connect(address)
        if self.gettimeout() == 0 or not _is_secured(address):
            return
        if hasattr(address, "header"):  # a proxy's comes first
            super().sendall(address.header())
        self._incoming, self._outgoing, self._unsent = ssl.MemoryBIO(), ssl.MemoryBIO(), b""
        self._using, self._sending = threading.Lock(), threading.Lock()  # one thread may send while another one receives
        tls = _context().wrap_bio(self._incoming, self._outgoing, server_hostname=address[0])
        self._until_done(tls.do_handshake)
        self._tls = tls

    def _flush(self):
        """What the kernel doesn't take now is sent first the next time."""
        with self._using:
            self._unsent += self._outgoing.read()
        while self._unsent:
            self._unsent = self._unsent[super().send(self._unsent):]

    def _flush_behind(self):
        """Unless another thread is sending, which may have to wait until this one has received something."""
        if self._sending.acquire(blocking=False):
            try:
                self._flush()
            except BlockingIOError:
                pass
            finally:
                self._sending.release()

    def _until_done(self, call, *arguments):
        while True:
            try:
                with self._using:
                    return call(*arguments)
            except ssl.SSLWantReadError:
                pass
            finally:
                self._flush_behind()
            data = super().recv(_CHUNK)
            with self._using:
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    def recv(self, length, *flags):
        if self._tls is None:
            return super().recv(length, *flags)
        try:
            received = self._until_done(self._tls.read, length)
        except ssl.SSLZeroReturnError:  # close_notify
            return b""
        except ssl.SSLEOFError as error:  # a polite end has a close_notify
            raise AssertionError("the connection has ended without close_notify") from error
        while len(received) < length:  # select() doesn't see what has come
            try:
                with self._using:
                    more = self._tls.read(length - len(received))
            except ssl.SSLError:  # there is no more, or an end, which the next call sees again
                break
            if not more:
                break
            received += more
        return received

    def recv_into(self, buffer, length=0, *flags):
        if self._tls is None:
            return super().recv_into(buffer, length, *flags)
        received = self.recv(length or len(buffer))
        buffer[:len(received)] = received
        return len(received)

    def send(self, data, *flags):
        if self._tls is None:
            return super().send(data, *flags)
        with self._sending:
            self._flush()
            with self._using:
                taken = self._tls.write(data)
            try:
                self._flush()
            except BlockingIOError:
                pass
        return taken

    def sendall(self, data, *flags):
        if self._tls is None:
            return super().sendall(data, *flags)
        data = memoryview(data)
        while data:
            data = data[self.send(data):]

    def shutdown(self, how):
        """Half of it: close_notify, and FIN behind it."""
        if self._tls is not None:
            with self._sending:
                try:
                    with self._using:
                        self._tls.unwrap()
                except ssl.SSLWantReadError:
                    pass
                self._flush()
        super().shutdown(how)


_create_connection = asyncio.BaseEventLoop.create_connection


async def _create_secured_connection(self, factory, host=None, port=None, **options):
    if _is_secured((host, port)) and not options.get("ssl"):
        options.update(ssl=_context(), server_hostname=host)
    return await _create_connection(self, factory, host, port, **options)


if IS_ON:
    socket.socket = Socket
    asyncio.BaseEventLoop.create_connection = _create_secured_connection
