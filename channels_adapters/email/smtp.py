"""Handing a mail to a relay over SMTP, and what its answers mean."""

import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from email.message import EmailMessage

from channels_adapters.email import servers
from channels_adapters.email.servers import Insecure, MailServer
from channels_adapters.wire import Action, Result
from tickets.outbound import AddressRefused

GREYLISTED_S = 300.0  # "come back later" means minutes, with mail


class _Connection(smtplib.SMTP):
    """smtplib's own, over a connection to an address that was checked."""

    handed_in = False  # whether the mail's text was on its way

    def __init__(self, server: MailServer) -> None:
        self._server = server
        super().__init__(timeout=servers.TIMEOUT_S)

    def open(self) -> None:
        """Connect, and be greeted. Raises SMTPConnectError, AddressRefused, OSError."""
        code, said = self.connect(self._server.host, self._server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)
        self._host = self._server.host  # smtplib checks certificates against it

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return servers.connect(self._server, timeout)

    def data(self, msg: bytes | str) -> tuple[int, bytes]:  # type: ignore[override]
        self.handed_in = True
        return super().data(msg)


def send(server: MailServer, mail: EmailMessage, sender: str, recipients: Sequence[str]) -> Result:
    """Hand it in. OK means that the relay took it for the first recipient, no more."""
    connection = _Connection(server)
    try:
        connection.open()
        _prepare(connection, server)
        refused = connection.send_message(mail, sender, list(recipients))
        _leave(connection)
    except (smtplib.SMTPException, AddressRefused, Insecure, OSError) as error:
        return _failed(error, recipients[0], handed_in=connection.handed_in)
    finally:
        connection.close()
    return _judged(*refused[recipients[0]]) if recipients[0] in refused else Result(Action.OK)


def _failed(error: Exception, recipient: str, *, handed_in: bool) -> Result:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _judged(*error.recipients[recipient])
    if isinstance(error, smtplib.SMTPResponseException):
        return _judged(error.smtp_code, error.smtp_error)
    if isinstance(error, AddressRefused | Insecure | ssl.SSLCertVerificationError):
        return Result(Action.PERMANENT, code="refused", detail=str(error))
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Result(Action.PERMANENT, code="unsupported", detail=str(error))
    action = Action.UNKNOWN if handed_in else Action.RETRY
    return Result(action, code="no_answer", detail=type(error).__name__)


def _leave(connection: smtplib.SMTP) -> None:
    """What the server says to a farewell changes nothing."""
    with suppress(smtplib.SMTPException, OSError):
        connection.quit()


def _prepare(connection: smtplib.SMTP, server: MailServer) -> None:
    connection.ehlo_or_helo_if_needed()
    if not server.is_tls:
        if connection.has_extn("starttls"):
            connection.starttls(context=servers.tls())
            connection.ehlo()
        else:
            assert connection.sock is not None
            servers.require_own_network(connection.sock)
    if server.user:
        connection.login(server.user, server.password)


def _judged(code: int, said: bytes | str) -> Result:
    """4xx: later. 5xx: never."""
    detail = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    if 400 <= code < 500:
        return Result(Action.RETRY, retry_after_s=GREYLISTED_S, code=str(code), detail=detail)
    refused = code in (530, 534, 535)  # RFC 4954: our log-in, rather than this mail
    return Result(Action.PERMANENT, code=str(code), detail=detail, token_refused=refused)
