"""The Channels layer of the hot path: groups in the process, one Redis channel a process.

`layer.py` is the API that Channels knows, `end.py` its end in one event loop, `node.py` the
mailboxes and groups there, `wire.py` the way over Redis,
`named.py` the (rarely used) channels that any process may read.
Why it is built so, with figures: docs/benchmarks.md.
"""

from kefu.layer.layer import LocalGroupsLayer

__all__ = ["LocalGroupsLayer"]
