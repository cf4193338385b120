"""渠道与接入 in the admin: what came in, what goes out, and how each inbox is."""

from channels_adapters.admin import alerts, deliveries, envelopes, inboxes, pull_cursors

__all__ = ["alerts", "deliveries", "envelopes", "inboxes", "pull_cursors"]
