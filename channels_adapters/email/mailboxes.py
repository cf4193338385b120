"""Mailboxes, fetched: each mail once, in its order, and nothing is passed over that was not kept.

The UID is advanced after a mail is stored, so a worker that dies makes its successor look at a
mail again, which is then known by its Message-ID.
"""

import base64
import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import BytesIO
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext

from channels_adapters import inbound, registry
from channels_adapters.email import imap, incoming, mime, servers, threads
from channels_adapters.email.imap import Folder, MailboxUnavailable
from channels_adapters.email.mime import Mail
from channels_adapters.errors import NotConfigured
from channels_adapters.models import Mailbox
from tickets import intake
from tickets.envelopes import Sender
from tickets.models import ContactIdentity, Envelope, Inbox
from tickets.services import attachments, contacts

log = logging.getLogger(__name__)

HELD_S = 300  # longer than one mail takes
AT_ONCE = 200  # mails; the next round goes on
MAX_FILES = 20
MAX_KEPT = 5 * 1024 * 1024  # bytes of a mail that cannot be read
PAUSE_S, LONGEST_PAUSE_S = 60, 3600  # after failures


def fetch(inbox: Inbox, *, now: datetime) -> int:
    """Take in what is new in an inbox's mailbox; how many mails. One worker at a time does it."""
    try:
        server = servers.read(inbox.credentials.get("imap_url", ""), credential="imap_url")
    except NotConfigured:
        return 0
    mailbox, _ = Mailbox.objects.get_or_create(inbox=inbox, folder=server.folder)
    if not _claim(mailbox, now):
        return 0
    try:
        with imap.opened(server) as folder:
            taken = _take_new(mailbox, folder)
    except MailboxUnavailable as error:
        _failed(mailbox, error, now)
        return 0
    except Exception:
        Mailbox.objects.filter(pk=mailbox.pk).update(claimed_until=None)
        raise
    Mailbox.objects.filter(pk=mailbox.pk).update(
        claimed_until=None, next_at=None, failures=0, error="", fetched_at=timezone.now()
    )
    return taken


def _claim(mailbox: Mailbox, now: datetime) -> bool:
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    due = Q(next_at=None) | Q(next_at__lte=now)
    held_until = now + timedelta(seconds=HELD_S)
    return bool(Mailbox.objects.filter(free, due, pk=mailbox.pk).update(claimed_until=held_until))


def _failed(mailbox: Mailbox, error: MailboxUnavailable, now: datetime) -> None:
    """Less and less often: a server that is asked with a wrong password shuts us out."""
    log.warning("the mailbox of %s cannot be fetched: %s", mailbox.inbox.key, error)
    pause_s = min(PAUSE_S * 2 ** min(mailbox.failures, 10), LONGEST_PAUSE_S)
    Mailbox.objects.filter(pk=mailbox.pk).update(
        claimed_until=None,
        failures=F("failures") + 1,
        next_at=now + timedelta(seconds=pause_s),
        error=str(error)[:300],
    )


def _take_new(mailbox: Mailbox, folder: Folder) -> int:
    mailbox.refresh_from_db()
    if mailbox.uid_validity != folder.uid_validity:
        _begin(mailbox, folder)
    own = _own_addresses()
    taken = 0
    for uid in folder.after(mailbox.last_uid)[:AT_ONCE]:
        found = folder.fetch(uid)
        if found:
            content, whole = found
            _take_safely(mailbox.inbox, content, whole=whole, own=own)
            taken += 1
        held_until = timezone.now() + timedelta(seconds=HELD_S)
        Mailbox.objects.filter(pk=mailbox.pk).update(last_uid=uid, claimed_until=held_until)
    return taken


def _begin(mailbox: Mailbox, folder: Folder) -> None:
    """The first look begins with what comes next: old mail is nobody's question any more.

    Where the server counts anew, all that came since our first look is looked at again.
    """
    last_uid = folder.next_uid - 1
    if mailbox.uid_validity:
        log.warning("the mailbox of %s counts anew: it is read again", mailbox.inbox.key)
        since = folder.since(mailbox.created_at)
        last_uid = since[0] - 1 if since else last_uid
    mailbox.uid_validity, mailbox.last_uid = folder.uid_validity, last_uid
    mailbox.save(update_fields=["uid_validity", "last_uid"])


def _own_addresses() -> set[str]:
    """The addresses of all our mailboxes: what comes from one is never answered by a machine."""
    inboxes = Inbox.objects.filter(type=Inbox.Type.EMAIL)
    return {str(one.credentials.get("address", "")).strip().lower() for one in inboxes} - {""}


# One mail -------------------------------------------------------------------------------------


def _take_safely(inbox: Inbox, content: bytes, *, whole: bool, own: set[str]) -> None:
    try:
        take(inbox, content, whole=whole, own=own, now=timezone.now())
    except OperationalError:  # the database, not the mail: another time
        raise
    except Exception as error:  # an outermost edge: one bad mail must not hold up the others
        log.exception("a mail to %s cannot be read", inbox.key)
        _keep_unread(inbox, content, error)


@transaction.atomic
def take(
    inbox: Inbox, content: bytes, *, own: set[str], now: datetime, whole: bool = True
) -> list[str]:
    """Keep a mail as envelopes; their source_ids, none where it was here before."""
    mail = mime.read(content, max_file=settings.ATTACHMENT_MAX_BYTES)
    if _is_known(inbox, mail):
        return []
    adapter = registry.adapter_for(inbox)
    ours = {str(inbox.credentials.get("address", "")).strip().lower()}
    if events := incoming.events(mail, own=ours):
        return inbound.accept_parsed(adapter, events, now=now)
    thread = threads.find(inbox, mail)
    identity = thread.identity or contacts.identify(inbox, _sender(mail), now=now)
    kept, left_out = _keep_files(mail, identity)
    if not whole:
        left_out.append((gettext("全文"), gettext("邮件过大")))
    message = incoming.message(
        inbox.pk,
        mail,
        own=own,
        thread=thread,
        identity_id=identity.pk,
        attachment_ids=kept,
        left_out=left_out,
        automatic=incoming.base_of(mail.from_address) in own,
    )
    return inbound.accept_parsed(adapter, [message], now=now)


def _sender(mail: Mail) -> Sender:
    name = mail.from_name if mail.address == mail.from_address else ""
    return Sender(mail.address, name=name, email=mail.address)


def _is_known(inbox: Inbox, mail: Mail) -> bool:
    name = threads.received_id(mail.message_id)
    names = [name, f"event:{name}", f"event:{name}:0"]
    return Envelope.objects.filter(inbox=inbox, source_id__in=names).exists()


def _keep_files(mail: Mail, identity: ContactIdentity) -> tuple[list[UUID], list[tuple[str, str]]]:
    """(the files that are kept, the names of the others and why)."""
    kept: list[UUID] = []
    left_out: list[tuple[str, str]] = []
    for file in mail.files:
        if why := _why_not(file, len(kept)):
            left_out.append((file.name, why))
            continue
        try:
            stored = attachments.store(
                BytesIO(file.content or b""), name=file.name, identity=identity
            )
            kept.append(stored.public_id)
        except (attachments.TooLarge, attachments.Unsupported) as refusal:
            left_out.append((file.name, str(refusal)))
    return kept, left_out


def _why_not(file: mime.File, kept: int) -> str:
    if file.content is None:
        return gettext("文件过大")
    return gettext("附件过多") if kept >= MAX_FILES else ""


def _keep_unread(inbox: Inbox, content: bytes, error: Exception) -> None:
    """As it is, for a replay once we can read it."""
    digest = hashlib.sha256(content).hexdigest()[:40]
    unread = intake.Arrival(
        inbox_id=inbox.pk,
        source_id=f"unread:{digest}",
        payload={},
        kind=Envelope.Kind.UNREAD,
        raw={"mail": base64.b64encode(content[:MAX_KEPT]).decode()},
        error=f"{type(error).__name__}: {error}",
    )
    intake.accept_all([unread], now=timezone.now())


def due(*, now: datetime) -> Sequence[int]:
    """The inboxes whose mailbox may be looked into."""
    waiting = Mailbox.objects.filter(Q(next_at__gt=now) | Q(claimed_until__gt=now))
    inboxes = Inbox.objects.enabled().filter(type=Inbox.Type.EMAIL)
    return [
        one.pk
        for one in inboxes.exclude(pk__in=waiting.values("inbox"))
        if one.credentials.get("imap_url")
    ]
