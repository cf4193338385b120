"""A mail in our words: a message of a person, or an event where nobody is to be answered."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.utils.translation import gettext

from channels_adapters.email import threads
from channels_adapters.email.automatic import Machine
from channels_adapters.email.mime import Mail
from channels_adapters.email.threads import Thread
from channels_adapters.protocol import Event
from tickets.envelopes import InboundMessage, MessageType, ReplyTerms, Sender

THREAD_OF_SENDER = Thread()
MAX_COPIED = 20  # addresses that an answer goes to beside its own
MAX_QUOTED = 20_000  # characters
_ROUTE_ID = 200  # characters that a reply route keeps of an id
_STATUSES = {"failed": "failed", "delivered": "delivered"}


def events(mail: Mail, *, own: Collection[str]) -> list[Event]:
    """What a mail tells us beside messages; none where it is a message.

    receipt (of a bounce), delayed, echo (of our own), unaddressed (nobody to answer),
    auto_reply (a holiday note; data: subject, text, mentions).
    """
    source_id = threads.received_id(mail.message_id)
    if mail.reports:
        return [_receipt(mail, index) for index in range(len(mail.reports))]
    if not mail.address:
        return [Event("unaddressed", source_id, data={"subject": mail.subject, "text": mail.text})]
    if base_of(mail.address) in own:  # a shop's form writes in our name, for somebody else
        return [Event("echo", source_id)]
    if mail.machine == Machine.REPLY:
        data = {"subject": mail.subject, "text": mail.text, "mentions": list(mail.mentions)}
        return [Event("auto_reply", source_id, mail.address, data)]
    return []


def _receipt(mail: Mail, index: int) -> Event:
    report = mail.reports[index]
    status = _STATUSES.get(report.action, "")
    data = {
        "platform_id": threads.sent_id(report.message_id),
        "status": status,
        "code": report.status,
        "detail": f"{report.recipient}: {report.detail}",
    }
    source_id = f"{threads.received_id(mail.message_id)}:{index}"
    return Event("receipt" if status else "delayed", source_id, report.recipient, data)


def message(
    inbox_id: int,
    mail: Mail,
    *,
    own: Collection[str],
    thread: Thread = THREAD_OF_SENDER,
    identity_id: int = 0,
    attachment_ids: Sequence[UUID] = (),
    left_out: Sequence[tuple[str, str]] = (),
    automatic: bool = False,
) -> InboundMessage:
    """The mail as a message. `left_out`: (name, why) of files that are not kept."""
    owner = thread.identity.external_id if thread.identity else mail.address
    sent_by_owner = owner == mail.from_address
    return InboundMessage(
        inbox_id=inbox_id,
        source_id=threads.received_id(mail.message_id),
        platform_id=mail.message_id[:_ROUTE_ID],
        text=_text(mail, thread, left_out) or gettext("[空邮件]"),
        type=MessageType.TEXT,
        sender=Sender(
            owner,
            name=mail.from_name if sent_by_owner else "",
            email=owner if "@" in owner else "",
        ),
        sent_at=mail.sent_at,
        attachment_ids=tuple(attachment_ids),
        terms=ReplyTerms(
            thread=mail.message_id[:_ROUTE_ID],
            context={
                "subject": mail.subject,
                "message_id": mail.message_id,
                "references": list(mail.references)[-50:],
                "to": [mail.address],
                "cc": _copied(mail, own),
                "automatic": automatic or bool(mail.machine),
                "identity": identity_id,
            },
        ),
        raw={
            "subject": mail.subject,
            "from": mail.from_address,
            "to": list(mail.to)[:MAX_COPIED],
            "cc": list(mail.cc)[:MAX_COPIED],
            "quoted": mail.quoted[:MAX_QUOTED],
            "joined_by": thread.rule,
        },
        automatic=automatic or bool(mail.machine),
    )


def _text(mail: Mail, thread: Thread, left_out: Sequence[tuple[str, str]]) -> str:
    """What is shown: who joined in, what a new thread is about, the words, what is missing."""
    lines = []
    if thread.identity:
        lines.append(gettext("[%(address)s 回复]") % {"address": mail.address})
    if mail.subject and not thread.is_known:
        lines.append(gettext("主题：%(subject)s") % {"subject": mail.subject})
    missing = [
        gettext("[附件 %(name)s 未保存：%(why)s]") % {"name": name, "why": why}
        for name, why in left_out
    ]
    return "\n\n".join(part for part in ("\n".join(lines), mail.text, "\n".join(missing)) if part)


def _copied(mail: Mail, own: Collection[str]) -> list[str]:
    others = [one for one in mail.cc if base_of(one) not in own and one != mail.address]
    return others[:MAX_COPIED]


def base_of(address: str) -> str:
    """The address without what stands behind its plus."""
    local, _, domain = address.partition("@")
    return f"{local.partition('+')[0]}@{domain}"
