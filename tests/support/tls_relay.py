# SPDX-License-Identifier: MIT
"""A TLS door in front of a plain one, by Python's ssl: for clients with TLS and servers without."""
import asyncio
import queue
import ssl
import threading


class TlsRelay:
    """Listens on .port of 127.0.0.1, and passes on to (host, port). `client_ca`: clients need a certificate of it.
    .handshakes counts those that have succeeded, .reused those of them that took a session up again."""

    def __init__(self, target, certificate, key, client_ca=None):
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._context.set_alpn_protocols(["http/1.1"])
        if client_ca:
            self._context.load_verify_locations(client_ca)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self.handshakes = self.reused = 0
        ports = queue.Queue()
        threading.Thread(target=lambda: asyncio.run(self._serve(ports)), daemon=True).start()
        self.port = ports.get(timeout=20)

    async def _serve(self, ports):
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, ssl=self._context, backlog=1000)
        ports.put(server.sockets[0].getsockname()[1])
        await asyncio.Future()

    async def _pass_on(self, reader, writer):
        self.handshakes += 1
        self.reused += writer.get_extra_info("ssl_object").session_reused
        behind_reader, behind_writer = await asyncio.open_connection(*self._target)
        await asyncio.wait([asyncio.ensure_future(_copy(reader, behind_writer)),
                            asyncio.ensure_future(_copy(behind_reader, writer))], return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, behind_writer):
            end.close()


async def _copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (OSError, AttributeError):  # asyncio's transport with TLS forgets its protocol when it is closed
        pass
