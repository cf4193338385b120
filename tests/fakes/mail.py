"""Mail servers: a real IMAP server (Dovecot) and a relay that says what it is told to.

with Dovecot() as imap, Relay() as relay:
    imap.put("help", b"From: …")
    relay.will(b"451 4.7.1 try again later")     # of the next mail; without: taken
    relay.mails                                  # what was taken, parsed
"""

import email
import imaplib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

PASSWORD = "p@ss/word"
PROGRAM = shutil.which("dovecot") or "/usr/sbin/dovecot"
CAN_RUN_DOVECOT = os.path.exists(PROGRAM) and os.getuid() == 0

_CONFIG = """
protocols = imap
listen = 127.0.0.1
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:~/Maildir
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={home}/mail/%u
}}
first_valid_uid = 1
first_valid_gid = 1
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Dovecot:
    """Every user exists, with an empty mailbox; the password is PASSWORD."""

    def __enter__(self) -> "Dovecot":
        self.home = Path(tempfile.mkdtemp(prefix="kefu-dovecot-"))
        self.home.chmod(0o755)
        (self.home / "mail").mkdir()
        (self.home / "mail").chmod(0o777)
        self.port = free_port()
        config = self.home / "dovecot.conf"
        config.write_text(_CONFIG.format(home=self.home, port=self.port, password=PASSWORD))
        self._process = subprocess.Popen([PROGRAM, "-F", "-c", str(config)])
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError((self.home / "log").read_text())

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)

    def url(self, user: str, password: str = "p%40ss%2Fword") -> str:
        return f"imap://{user}:{password}@127.0.0.1:{self.port}/INBOX"

    def put(self, user: str, mail: bytes) -> None:
        """Deliver a mail."""
        with self._connected(user) as client:
            client.append("INBOX", "", "", mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    def unseen(self, user: str) -> int:
        with self._connected(user) as client:
            client.select("INBOX", readonly=True)
            return len(client.search(None, "UNSEEN")[1][0].split())

    def _connected(self, user: str) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        client.login(user, PASSWORD)
        return client


@dataclass
class Relay:
    """A relay that wants a log-in. `mails` are those that it took."""

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)  # recipient -> what is said

    def __enter__(self) -> "Relay":
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            authenticator=self._log_in,
            auth_require_tls=False,
            auth_required=True,
        )
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def url(self, password: str = "p%40ss%2Fword") -> str:
        return f"smtp://help:{password}@127.0.0.1:{self._controller.port}"

    def will(self, *answers: Any) -> None:
        """Of the next mails: what is said to them, or None: the connection breaks."""
        self.answers = list(answers)

    def _log_in(self, server: Any, session: Any, envelope: Any, kind: str, given: Any) -> Any:
        right = given.password == PASSWORD.encode()
        return AuthResult(success=right, handled=right)

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer is None:
            server.transport.abort()
            return ""
        if answer.startswith("250"):
            mail = email.message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.recipients.append(list(envelope.rcpt_tos))
        return str(answer)
