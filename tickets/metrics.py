"""What is counted, by its names in the contract (§11); each room counts what it does itself.

With PROMETHEUS_MULTIPROC_DIR the processes of one machine count into one folder, and
`/metrics` shows their sum (kefu/metrics.py, which also adds what it reads off the database).
"""

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SLOW = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
_HUMAN = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600)

ws_connections = Gauge(
    "kefu_ws_connections",
    "Open sockets",
    ["role"],  # visitor, console
    multiprocess_mode="livesum",
)
messages = Counter(
    "kefu_messages",
    "Messages committed",
    ["channel", "direction"],  # direction: in, out
)
message_latency = Histogram(
    "kefu_message_latency_seconds",
    "A visitor's message: from its frame to the push after the commit",
    buckets=_FAST,
)
ai_requests = Counter("kefu_ai_requests", "Calls of AI endpoints", ["endpoint", "outcome"])
ai_latency = Histogram(
    "kefu_ai_latency_seconds", "Duration of calls of AI endpoints", ["endpoint"], buckets=_SLOW
)
delivery = Counter("kefu_delivery", "Messages handed to platforms", ["channel", "outcome"])
assignment_wait = Histogram(
    "kefu_assignment_wait_seconds", "From the queue to an agent", buckets=_HUMAN
)
