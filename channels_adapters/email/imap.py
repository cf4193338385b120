"""A mailbox over IMAP (RFC 3501): what is new in it, read without marking it as seen."""

import imaplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, LoginError

from channels_adapters.email import servers
from channels_adapters.email.servers import Insecure, MailServer
from tickets.outbound import AddressRefused

MAX_MAIL = 40 * 1024 * 1024  # bytes; of a larger one only the head is read


class MailboxUnavailable(Exception):
    """It cannot be read now; `code` is one of refused, login, tls, connection, protocol."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class _Connection(imaplib.IMAP4):
    """imaplib's own, over a connection to an address that was checked."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        super().__init__(server.host, server.port, servers.TIMEOUT_S)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return servers.connect(self._server, timeout or servers.TIMEOUT_S)


class _Client(IMAPClient):
    def __init__(self, server: MailServer) -> None:
        self._server = server
        clocks = SocketTimeout(servers.TIMEOUT_S, servers.TIMEOUT_S)
        super().__init__(server.host, server.port, ssl=server.is_tls, timeout=clocks)

    def _create_IMAP4(self) -> imaplib.IMAP4:
        return _Connection(self._server)


@contextmanager
def opened(server: MailServer) -> Iterator["Folder"]:
    """The server's folder, read-only. Raises MailboxUnavailable, from within the block too."""
    try:
        with _Client(server) as client:
            _secure(client, server)
            client.login(server.user, server.password)
            yield Folder(client, client.select_folder(server.folder, readonly=True))
    except AddressRefused as error:
        raise MailboxUnavailable("refused", str(error)) from error
    except LoginError as error:
        raise MailboxUnavailable("login", "the server refuses user or password") from error
    except (ssl.SSLError, Insecure) as error:
        raise MailboxUnavailable("tls", str(error)[:200]) from error
    except OSError as error:
        raise MailboxUnavailable("connection", type(error).__name__) from error
    except (IMAPClientError, imaplib.IMAP4.error) as error:
        raise MailboxUnavailable("protocol", str(error)[:200]) from error


def _secure(client: IMAPClient, server: MailServer) -> None:
    if server.is_tls:
        return
    if client.has_capability("STARTTLS"):
        client.starttls(servers.tls())
    else:
        servers.require_own_network(client.socket())


class Folder:
    """A folder that is open; UIDs mean something only together with `uid_validity`."""

    def __init__(self, client: IMAPClient, status: dict[bytes, Any]) -> None:
        self._client = client
        self.uid_validity = int(status.get(b"UIDVALIDITY", 0))
        self._next_uid = status.get(b"UIDNEXT")

    @property
    def next_uid(self) -> int:
        """What the next mail will have; a server need not say it when the folder is opened."""
        if self._next_uid is not None:
            return int(self._next_uid)
        return max(self._client.search("ALL"), default=0) + 1

    def after(self, uid: int) -> list[int]:
        """The UIDs beyond this one, in their order.

        `n:*` always names the last mail, also where it is older: it is left out.
        """
        found = self._client.search(["UID", f"{uid + 1}:*"])
        return sorted(one for one in found if one > uid)

    def since(self, moment: datetime) -> list[int]:
        """The UIDs of mails that arrived on that day or later."""
        return sorted(self._client.search(["SINCE", moment.date()]))

    def fetch(self, uid: int) -> tuple[bytes, bool] | None:
        """(the mail, whether it is whole); None where it is gone meanwhile."""
        size = self._one(uid, b"RFC822.SIZE")
        if size is None:
            return None
        whole = int(size) <= MAX_MAIL
        content = self._one(uid, b"BODY[]" if whole else b"BODY[HEADER]")
        return None if content is None else (content, whole)

    def _one(self, uid: int, item: bytes) -> Any:
        asked = item.replace(b"BODY[", b"BODY.PEEK[")
        return self._client.fetch([uid], [asked]).get(uid, {}).get(item)
