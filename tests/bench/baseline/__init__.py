"""The textbook design that we measure ourselves against, as Channels' tutorial teaches it.

AsyncWebsocketConsumer, one ORM insert a message through `database_sync_to_async`, the
channels_redis core layer, daphne. No auth, limits, unread counts or tracing: it does less.
"""
