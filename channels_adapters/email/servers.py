"""Mail servers as an inbox names them: imaps://user:password@host:993/INBOX, smtps://…

imaps and smtps speak TLS from the first byte, imap and smtp go over to it by STARTTLS. What a
server offers without TLS is used inside one's own network only.
"""

import socket
import ssl
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from channels_adapters.errors import NotConfigured
from tickets import outbound
from tickets.inbox_fields import MAIL_PORTS

TIMEOUT_S = 20.0


class Insecure(Exception):
    """The server speaks no TLS, and is not in our own network."""


@dataclass(frozen=True)
class MailServer:
    """Where a mailbox is fetched from, or mail is handed in."""

    host: str
    port: int
    is_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    folder: str = "INBOX"


def read(url: str, *, credential: str) -> MailServer:
    """The server of an URL. Raises NotConfigured(credential) where it cannot be read."""
    try:
        parts = urlsplit(url)
        port = parts.port or MAIL_PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise NotConfigured(credential) from error
    if not parts.hostname:
        raise NotConfigured(credential)
    return MailServer(
        host=parts.hostname,
        port=port,
        is_tls=parts.scheme in ("imaps", "smtps"),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        folder=unquote(parts.path.strip("/")) or "INBOX",
    )


def connect(server: MailServer, timeout_s: float = TIMEOUT_S) -> socket.socket:
    """A checked connection, within TLS where the server begins with it.

    Raises AddressRefused, OSError (ssl.SSLError is one).
    """
    plain = outbound.connect(server.host, server.port, timeout_s)
    if not server.is_tls:
        return plain
    try:
        return tls().wrap_socket(plain, server_hostname=server.host)
    except OSError:
        plain.close()
        raise


def tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def require_own_network(connection: socket.socket) -> None:
    """Raises Insecure where the peer is a stranger's: no password goes there in clear."""
    if outbound.is_public(connection.getpeername()[0]):
        raise Insecure("the server offers no TLS")
