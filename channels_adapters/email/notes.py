"""Mails that machines answer with: told to the agents as a note, to no machine of ours."""

from datetime import datetime

from django.utils.translation import gettext

from channels_adapters.email import threads
from channels_adapters.protocol import Event
from tickets.envelopes import SYSTEM
from tickets.models import ContactIdentity, Conversation, Inbox
from tickets.services import conversations

MAX_NOTE = 2_000  # characters


def handle(event: Event, *, inbox: Inbox, now: datetime) -> bool:
    """A note in the conversation that the mail is about; without one the event is only kept."""
    if event.kind != "auto_reply":
        return False
    conversation = _conversation(event, inbox)
    if conversation:
        said = {"subject": event.data["subject"], "text": event.data["text"][:MAX_NOTE]}
        text = gettext("自动回复「%(subject)s」：\n%(text)s") % said
        conversations.add_note(conversation, author=SYSTEM, text=text, now=now)
    return True


def _conversation(event: Event, inbox: Inbox) -> Conversation | None:
    if earlier := threads.message_of(inbox, event.data["mentions"]):
        return earlier.conversation
    identity = ContactIdentity.objects.filter(inbox=inbox, external_id=event.address).first()
    if identity is None:
        return None
    return Conversation.objects.filter(contact=identity.contact_id).order_by("-pk").first()
