"""The ground in the administration. Setting up is editing; what people said is for looking."""

from tickets.admin import (
    contacts,
    conversations,
    inboxes,
    integrations,
    organisation,
    webhooks,
)

__all__ = ["contacts", "conversations", "inboxes", "integrations", "organisation", "webhooks"]
