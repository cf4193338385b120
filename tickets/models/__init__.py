"""The ground's nouns, one a file."""

from tickets.models.api_key import ApiKey, IdempotencyRecord
from tickets.models.attachment import Attachment
from tickets.models.business_hours import BusinessHours
from tickets.models.contact import Contact, ContactIdentity, IdentityLink
from tickets.models.conversation import Conversation, Rating
from tickets.models.envelope import Envelope
from tickets.models.feed_event import FeedEvent, FeedHorizon
from tickets.models.identity_key import IdentityKey
from tickets.models.inbox import Inbox
from tickets.models.label import Label
from tickets.models.message import Message
from tickets.models.reply_window import ReplyRoute, ReplyWindow
from tickets.models.search import MessageWords
from tickets.models.team import Team
from tickets.models.ticket import Ticket
from tickets.models.webhook import Webhook, WebhookDelivery

__all__ = [
    "ApiKey",
    "Attachment",
    "BusinessHours",
    "Contact",
    "ContactIdentity",
    "Conversation",
    "Envelope",
    "FeedEvent",
    "FeedHorizon",
    "IdempotencyRecord",
    "IdentityKey",
    "IdentityLink",
    "Inbox",
    "Label",
    "Message",
    "MessageWords",
    "Rating",
    "ReplyRoute",
    "ReplyWindow",
    "Team",
    "Ticket",
    "Webhook",
    "WebhookDelivery",
]
