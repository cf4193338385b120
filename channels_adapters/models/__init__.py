"""The wing's nouns, one a file."""

from channels_adapters.models.alert import Alert
from channels_adapters.models.delivery import Delivery

__all__ = ["Alert", "Delivery"]
