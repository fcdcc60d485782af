"""A real mail server on the loopback: aiosmtpd's, with a certificate of its own, letting one user in."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

USER, PASSWORD = "office", "pa55-of-the-office"


@dataclass
class Office:
    """What came in, and what is refused: an address, or everything after so many mails."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Any] = field(default_factory=list)
    drops_after: int | None = None

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("nobody@"):
            return f"550 5.1.1 <{address}>: There is nobody of that name"
        if address.startswith("later@"):
            return "450 4.2.1 Not now, try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.drops_after is not None and len(self.mails) >= self.drops_after:
            server.transport.close()
            return "421 Closing"
        found: Any = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(found)
        self.envelopes.append(envelope)
        return "250 Kept"


@contextmanager
def serve(context: ssl.SSLContext | None = None, *, implicit: bool = False) -> Iterator[Office]:
    """Serve until the block ends: in clear, by STARTTLS with a context, or by TLS from the start."""
    office, starttls = Office(), None if implicit else context

    def judge(_server: Any, _session: Any, _envelope: Any, _how: str, given: Any) -> AuthResult:
        if given.login == b"busy":
            return AuthResult(success=False, handled=False, message="454 4.7.0 Ask again later")
        good = given.login == USER.encode() and given.password == PASSWORD.encode()
        return AuthResult(success=good, handled=False)

    def answer() -> SMTP:
        return SMTP(
            office, hostname="test", tls_context=starttls, require_starttls=starttls is not None,
            authenticator=judge, auth_require_tls=starttls is not None, loop=loop,
        )  # fmt: skip

    loop = asyncio.new_event_loop()
    listening = loop.create_server(answer, "127.0.0.1", 0, ssl=context if implicit else None)
    server = loop.run_until_complete(listening)
    office.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield office
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # what was closed hears of it


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for 127.0.0.1, and return the server's context and the file that vouches for it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    public, private = folder / "mail.pem", folder / "mail.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public
