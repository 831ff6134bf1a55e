# SPDX-License-Identifier: MIT
"""A real SMTP server on loopback that can be told to refuse, to wait and to hang up."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections import Counter, deque
from email import message_from_bytes
from email.policy import SMTP as POLICY

import pytest
from aiosmtpd.smtp import SMTP, AuthResult


#: What a step of the dialogue may do instead of answering: end the connection.
HANG_UP = "hang up"


class Mailbox:
    """
    An SMTP server in a thread; a context manager.

    `script` holds, per step (connect, MAIL, RCPT, DATA, QUIT), what the server does
    next: an answer, `HANG_UP`, or seconds for which it keeps silent first. What is not
    scripted is answered as usual. A mail counts as taken once DATA is about to be
    answered with 250.
    """

    def __init__(self, *, tls=None, starttls=None, password=None) -> None:
        self.script: dict[str, deque] = {}
        self.taken: list[bytes] = []
        self.connections = 0
        #: Called with the server's thread at hand, after a mail was taken.
        self.on_taken = lambda: None
        self._tls, self._starttls, self._password = tls, starttls, password
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(self._session, "127.0.0.1", 0, ssl=self._tls)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))

    def _session(self):
        self.connections += 1
        return SMTP(
            _Handler(self),
            hostname="mail.test",
            ident="ready",
            loop=self._loop,
            tls_context=self._starttls,
            authenticator=self._authenticate if self._password else None,
            auth_require_tls=self._tls is None,
            auth_required=self._password is not None,
        )

    def _authenticate(self, _server, _session, _envelope, _mechanism, data):
        right = (data.login, data.password) == (b"courses", self._password.encode())
        return AuthResult(success=right, handled=False)

    def plan(self, step: str, *answers) -> None:
        """Say what a step does the next times."""
        self.script.setdefault(step, deque()).extend(answers)

    def mails(self):
        """Return what was taken, as it is read."""
        return [message_from_bytes(raw, policy=POLICY) for raw in self.taken]

    def copies(self) -> Counter:
        """Return how many copies there are of each Message-ID."""
        return Counter(mail["Message-ID"] for mail in self.mails())


class _Handler:
    def __init__(self, box: Mailbox) -> None:
        self._box = box

    async def _scripted(self, server, step: str) -> str | None:
        script = self._box.script.get(step)
        while script:
            said = script.popleft()
            if said == HANG_UP:
                server.transport.abort()
                return "451 never sent"
            if isinstance(said, str):
                return said
            await asyncio.sleep(said)
        return None

    async def handle_MAIL(self, server, _session, envelope, address, options):  # noqa: N802  aiosmtpd's name
        said = await self._scripted(server, "MAIL")
        if said is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return said or "250 OK"

    async def handle_RCPT(self, server, _session, envelope, address, _options):  # noqa: N802  aiosmtpd's name
        said = await self._scripted(server, "RCPT")
        if said is None:
            envelope.rcpt_tos.append(address)
        return said or "250 OK"

    async def handle_DATA(self, server, _session, envelope):  # noqa: N802  aiosmtpd's name
        said = await self._scripted(server, "DATA")
        if said is not None:
            return said
        self._box.taken.append(envelope.original_content)
        said = await self._scripted(server, "250")
        self._box.on_taken()
        return said or "250 taken"

    async def handle_QUIT(self, server, _session, _envelope):  # noqa: N802  aiosmtpd's name
        return await self._scripted(server, "QUIT") or "221 Bye"


def self_signed(folder):
    """Return a server's TLS context for 127.0.0.1, and its certificate's file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here: nobody makes a certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=mail.test"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate
