"""渠道与接入 in the admin: what came in, what goes out."""

from channels_adapters.admin import deliveries, envelopes

__all__ = ["deliveries", "envelopes"]
