"""What WeCom's callback and the customer service's log tell beside messages, and what follows."""

import re
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext

from channels_adapters import tasks
from channels_adapters.protocol import Event
from channels_adapters.wecom_kf import pulling, rows, sessions
from tickets.envelopes import SYSTEM
from tickets.models import ContactIdentity, Inbox, Message
from tickets.services import conversations, messages, windows

NOTICE = "kf_msg_or_event"
STATE_CHANGED = "session_status_change"
_OUR_KEY = re.compile(r"k(\d+)-\d+(?:-\d+)?")


def handle_notice(event: Event, *, inbox: Inbox, now: datetime) -> bool:
    """Have the account read that the notice names: all accounts of a corp share one callback."""
    if event.kind != NOTICE:
        return False
    account = str(event.data.get("open_kfid", ""))
    named = pulling.inbox_of(inbox.credentials.get("corp_id", ""), account)
    if named:
        cursor = pulling.want(named, str(event.data.get("token", "")), now=now)
        transaction.on_commit(lambda: tasks.pull_account.delay(cursor.pk), robust=True)
    return True


def handle(event: Event, *, inbox: Inbox, now: datetime) -> bool:
    """Deal with an event of the log; False for what all channels share."""
    if event.kind == "started":
        _welcome(event, inbox)
        return False
    if event.kind == STATE_CHANGED:
        sessions.forget(inbox, event.address)
        return True
    if event.kind == "receipt":
        return _failed_late(event, inbox, now)
    if event.kind == rows.EMPLOYEE_SAID:
        return _note_employee(event, inbox, now)
    return False


def _welcome(event: Event, inbox: Inbox) -> None:
    code, entered_at = event.data.get("welcome_code"), event.data.get("sent_at")
    if code and entered_at:
        transaction.on_commit(
            lambda: tasks.greet_customer.delay(inbox.pk, str(code), int(entered_at)), robust=True
        )


def _failed_late(event: Event, inbox: Inbox, now: datetime) -> bool:
    """Success of a call is not final: the platform may say later that it came to nothing.

    It names the part by our own key, and a message may have had several.
    """
    if event.data.get("closes"):
        for identity in ContactIdentity.objects.filter(inbox=inbox, external_id=event.address):
            windows.close(identity, now=now)
    ours = _OUR_KEY.fullmatch(str(event.data.get("platform_id", "")))
    message = Message.objects.filter(inbox=inbox, pk=int(ours[1])).first() if ours else None
    if message is None:
        return False
    code, detail = str(event.data.get("code", "")), str(event.data.get("detail", ""))
    messages.mark_failed(message, code=code, detail=detail)
    return True


def _note_employee(event: Event, inbox: Inbox, now: datetime) -> bool:
    """What an employee answered in the WeCom client, as a note in the person's conversation."""
    identity = ContactIdentity.objects.filter(inbox=inbox, external_id=event.address).first()
    conversation = (
        identity.contact.conversations.order_by("-last_message_at").first() if identity else None
    )
    if conversation:
        said = gettext("企业微信员工 %(who)s 回复：%(text)s") % {
            "who": event.data.get("servicer_userid", ""),
            "text": event.data.get("text", ""),
        }
        conversations.add_note(conversation, author=SYSTEM, text=said, now=now)
    return True
