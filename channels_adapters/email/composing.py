"""A reply as a mail that every program threads rightly (RFC 5322, 3834)."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from django.utils.crypto import salted_hmac
from django.utils.translation import gettext

from channels_adapters.email.headers import is_address
from channels_adapters.protocol import Outbound

KEPT_REFERENCES = 10  # beside the first
# An id that is longer than a line would be encoded, and thread nothing any more.
_LONG_LINES = SMTP.clone(max_line_length=998)
_SALT = "kefu.email.message"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_RE = re.compile(r"\s*(re|aw|sv|回复|答复|回覆)\s*[:：]\s*", re.IGNORECASE)


def message_id(inbox_id: int, key: str, domain: str) -> str:
    """The id of a part for ever: whoever was not sent it cannot guess it."""
    secret = salted_hmac(_SALT, f"{inbox_id}:{key}", algorithm="sha256").hexdigest()
    return f"<{secret[:40]}@{domain}>"


def compose(
    outbound: Outbound, *, address: str, inbox_id: int, reply_to: str, now: datetime
) -> EmailMessage:
    """The mail. A machine's goes to the one person alone, a person's to whom they copied in."""
    context = outbound.context
    mail = EmailMessage(policy=_LONG_LINES)
    mail["From"] = _sender(outbound.author_name, address)
    mail["To"] = recipients(outbound)[0]
    if copied := recipients(outbound)[1:]:
        mail["Cc"] = ", ".join(copied)
    if reply_to:
        mail["Reply-To"] = reply_to
    mail["Subject"] = subject(context)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = message_id(inbox_id, outbound.key, address.rpartition("@")[2])
    _thread(mail, context)
    if outbound.automatic:
        mail["Auto-Submitted"] = "auto-replied"
        mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(outbound.text or gettext("请查看附件。"), cte="base64")
    for file in outbound.files:
        main, _, sub = file.content_type.partition("/")
        mail.add_attachment(
            file.content, maintype=main, subtype=sub or "octet-stream", filename=file.name
        )
    return mail


def recipients(outbound: Outbound) -> list[str]:
    """To, then the copies."""
    written = [one for one in outbound.context.get("to", ()) if is_address(one)]
    copied = () if outbound.automatic else outbound.context.get("cc", ())
    first = written[0] if written else outbound.to
    others = [one for one in (*copied, outbound.to) if one != first and is_address(one)]
    return list(dict.fromkeys([first, *others] if not outbound.automatic else [first]))


def subject(context: Mapping[str, Any]) -> str:
    """Re: and the subject of the last mail."""
    asked = _CONTROLS.sub(" ", str(context.get("subject") or "")).strip()
    return f"Re: {_RE.sub('', asked, count=1)}" if asked else gettext("回复您的咨询")


def _sender(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(_CONTROLS.sub(" ", name).strip(), local, domain)


def _thread(mail: EmailMessage, context: Mapping[str, Any]) -> None:
    answered = str(context.get("message_id") or "")
    if not answered:
        return
    mail["In-Reply-To"] = answered
    mail["References"] = " ".join(_shortened([*context.get("references", ()), answered]))


def _shortened(references: Sequence[str]) -> list[str]:
    """The first, where the thread began, and the last ones."""
    ids = list(dict.fromkeys(references))
    if len(ids) <= 1 + KEPT_REFERENCES:
        return ids
    return [ids[0], *ids[-KEPT_REFERENCES:]]
