"""The wing's nouns, one a file."""

from channels_adapters.models.alert import Alert
from channels_adapters.models.delivery import Delivery
from channels_adapters.models.mailbox import Mailbox
from channels_adapters.models.pull_cursor import PullCursor

__all__ = ["Alert", "Delivery", "Mailbox", "PullCursor"]
