"""Who tells what of a message's way: `tickets.trace` asks each of them."""

from collections.abc import Sequence

from ai_gateway.hops import hops as ai_hops
from channels_adapters.hops import hops as delivery_hops
from tickets.trace import Source, own_hops

SOURCES: Sequence[Source] = (own_hops, ai_hops, delivery_hops)
