"""What waits for a bridge, and what it says became of it.

A delivery that was handed out is held for some minutes: unless its receipt comes, it is handed
out again under the same id. So a bridge may crash at any point and loses nothing; it drops
ids that it has seen.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from channels_adapters import delivery, line, parts, registry
from channels_adapters.models import Delivery
from channels_adapters.protocol import Outbound
from tickets.models import Attachment, Inbox, Message
from tickets.services import messages

_KEY = re.compile(r"k(\d{1,18})-(\d{1,4})(?:-\d{1,5})?")
Status = Delivery.Status


def fetch(inbox: Inbox, *, limit: int) -> list[dict[str, Any]]:
    """The next answers, at most one message a person: the next one comes after its receipt."""
    line.enter_pending()
    claimed = line.claim(inbox, now=timezone.now(), limit=limit)
    jobs = delivery.prepare(inbox, claimed, now=timezone.now())
    return [item(outbound) for job in jobs for outbound in delivery.outbounds(job)]


def item(outbound: Outbound) -> dict[str, Any]:
    """One part of an answer, as a bridge gets it by either way."""
    media = outbound.media
    return {
        "id": outbound.key,
        "to": outbound.to,
        "thread": outbound.thread,
        "reply_to": outbound.reply_to or None,
        "type": media.type.value if media else "text",
        "text": outbound.text,
        "media": {
            "url": media.url,
            "name": media.name,
            "content_type": media.content_type,
            "size": media.size,
        }
        if media
        else None,
        "author": outbound.author_name,
        "context": dict(outbound.context),
    }


def source_id_of(platform_id: Any) -> str:
    """The platform's id of our message, apart from those of people's; "" where there is none."""
    return f"sent:{platform_id}"[:200] if isinstance(platform_id, str) and platform_id else ""


@transaction.atomic
def take_receipt(inbox: Inbox, receipt: Mapping[str, Any], *, now: datetime) -> bool:
    """Move the message forward; False where the id is none of this inbox's."""
    found = _KEY.fullmatch(str(receipt["id"]))
    ours = Message.objects.filter(inbox=inbox).exclude(kind=Message.Kind.INCOMING)
    message = ours.filter(pk=int(found[1])).first() if found else None
    if found is None or message is None:
        return False
    status = str(receipt["status"])
    if status == "failed":
        _fail(message, receipt, now)
    elif _is_whole(message, part=int(found[2]), now=now):
        name = source_id_of(receipt.get("platform_id"))
        messages.mark_sent(message, source_id=name or None)
        moves = {"delivered": messages.mark_delivered, "read": messages.mark_read}
        if status in moves:
            moves[status](message)
    return True


def _fail(message: Message, receipt: Mapping[str, Any], now: datetime) -> None:
    code, detail = str(receipt.get("code") or "failed"), str(receipt.get("detail") or "")
    messages.mark_failed(message, code=code, detail=detail)
    if held := _held(message):
        line.leave(held, Status.FAILED, now=now, code=code, detail=detail)


def _is_whole(message: Message, *, part: int, now: datetime) -> bool:
    """Whether this was its last part; then its delivery has come to its end."""
    held = _held(message)
    if held is None:
        return True
    done = max(held.parts_done, part + 1)
    attachments = list(Attachment.objects.filter(message=message).order_by("position"))
    table = registry.adapter_for(held.inbox).capabilities
    if done < len(parts.parts_of(message, attachments, table)):
        Delivery.objects.filter(pk=held.pk).update(parts_done=done)
        return False
    line.leave(held, Status.SENT, now=now)
    return True


def _held(message: Message) -> Delivery | None:
    """The delivery that is still on its way."""
    waiting = Delivery.objects.select_for_update(of=("self",)).select_related("inbox")
    return waiting.filter(message=message, status__in=[Status.WAITING, Status.SENDING]).first()
