"""渠道与接入 in the admin: what came in, what goes out."""

from channels_adapters.admin import deliveries, envelopes, pull_cursors

__all__ = ["deliveries", "envelopes", "pull_cursors"]
