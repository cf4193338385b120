"""E-mail: a mailbox that is fetched over IMAP and answered over SMTP (§7 of the wire reference)."""

import asyncio
import base64
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext
from redis.exceptions import RedisError

from channels_adapters.capabilities import Capabilities, MediaRule
from channels_adapters.email import composing, incoming, mime, notes, servers, smtp, threads
from channels_adapters.email.headers import is_address
from channels_adapters.errors import NotConfigured
from channels_adapters.protocol import DirectAdapter, Event, Outbound
from channels_adapters.wire import Action, Result
from tickets.envelopes import InboundMessage, MessageType
from tickets.models import Inbox

log = logging.getLogger(__name__)

MIB = 1024 * 1024
AUTOMATIC_A_DAY = 20  # answers of machines to one address: two that talk to each other stop there
DAY_S = 24 * 3600


class Email(DirectAdapter):
    """One mailbox. Sent means that the relay took it; what bounces is failed later."""

    channel: ClassVar[str] = "email"
    required: ClassVar[tuple[str, ...]] = ("address",)
    sending: ClassVar[tuple[str, ...]] = ("imap_url", "smtp_url")
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=100_000,
        media={
            kind: MediaRule(15 * MIB)
            for kind in (MessageType.IMAGE, MessageType.VOICE, MessageType.VIDEO, MessageType.FILE)
        },
        together_max_bytes=15 * MIB,  # 20 MiB as base64: what most servers take
    )

    @property
    def address(self) -> str:
        """Our own address. Raises NotConfigured."""
        address = self.account.credential("address").strip().lower()
        if not is_address(address):
            raise NotConfigured("address")
        return address

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        """A mail that could not be read at first, kept as {"mail": base64}; without its files."""
        content = base64.b64decode(payload["mail"])
        mail = mime.read(content, max_file=settings.ATTACHMENT_MAX_BYTES)
        own = {self.address}
        if events := incoming.events(mail, own=own):
            return events
        left_out = [(file.name, gettext("邮件事后才读出")) for file in mail.files]
        return [incoming.message(self.account.inbox_id, mail, own=own, left_out=left_out)]

    def handle(self, event: Event, *, inbox: Inbox, now: datetime) -> bool:
        """True where the event was e-mail's own."""
        return notes.handle(event, inbox=inbox, now=now)

    async def send(self, outbound: Outbound) -> Result:
        server = servers.read(self.account.credential("smtp_url"), credential="smtp_url")
        if outbound.automatic and (stopped := await self._stopped(outbound)):
            return stopped
        mail = composing.compose(
            outbound,
            address=self.address,
            inbox_id=self.account.inbox_id,
            reply_to=self._reply_to(outbound),
            now=timezone.localtime(),
        )
        to = composing.recipients(outbound)
        result = await asyncio.to_thread(smtp.send, server, mail, self.address, to)
        if result.action != Action.OK:
            return result
        return Result(Action.OK, platform_id=threads.sent_id(str(mail["Message-ID"])))

    def _reply_to(self, outbound: Outbound) -> str:
        identity_id = outbound.context.get("identity")
        if not self.account.setting("plus_address") or not identity_id:
            return ""
        return threads.plus_address(self.address, self.account.inbox_id, int(identity_id))

    async def _stopped(self, outbound: Outbound) -> Result | None:
        """Why no machine may write now."""
        if outbound.context.get("automatic"):
            detail = "a machine wrote last: it is not answered by another"
            return Result(Action.PERMANENT, code="loop", detail=detail)
        if await asyncio.to_thread(self._count, outbound.to) > AUTOMATIC_A_DAY:
            detail = f"more than {AUTOMATIC_A_DAY} automatic answers to one address in a day"
            return Result(Action.PERMANENT, code="loop", detail=detail)
        return None

    def _count(self, address: str) -> int:
        """This answer's number within a day; 0 where Redis is away."""
        key = f"email-automatic:{self.account.inbox_id}:{address}"
        try:
            cache.add(key, 0, DAY_S)
            return cache.incr(key)
        except (RedisError, ValueError) as error:
            log.warning("automatic mails are not counted: %s", type(error).__name__)
            return 0
