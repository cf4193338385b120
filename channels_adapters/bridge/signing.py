"""The bridge's signature, the same both ways (docs/bridge.md).

HMAC-SHA256 with the inbox's secret, in hex, over six lines: "kefu-bridge-v1", the direction
("in" to Kefu, "out" from it), timestamp, nonce, method and query; then a newline and the body.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime

IN, OUT = "in", "out"
TIMESTAMP, NONCE, SIGNATURE = "kefu-timestamp", "kefu-nonce", "kefu-signature"
NONCE_FORM = re.compile(r"[0-9A-Za-z_-]{8,64}")
_SCHEME = "kefu-bridge-v1"


def sign(
    secret: str,
    direction: str,
    *,
    timestamp: str,
    nonce: str,
    method: str,
    query: str = "",
    body: bytes = b"",
) -> str:
    """`v1=<hex>`. `timestamp` is in seconds since 1970; `query` as it stands in the address."""
    head = "\n".join((_SCHEME, direction, timestamp, nonce, method, query))
    said = head.encode() + b"\n" + body
    return "v1=" + hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()


def is_signed(
    given: str,
    secret: str,
    *,
    timestamp: str,
    nonce: str,
    method: str,
    query: str,
    body: bytes,
) -> bool:
    """Whether one of the signatures fits; several, parted by spaces, let a secret be changed."""
    expected = sign(
        secret, IN, timestamp=timestamp, nonce=nonce, method=method, query=query, body=body
    )
    one = [hmac.compare_digest(each.encode(), expected.encode()) for each in given.split()]
    return any(one)


def outgoing_headers(secret: str, *, query: str, body: bytes, now: datetime) -> Mapping[str, str]:
    """What a call of ours carries."""
    timestamp, nonce = str(int(now.timestamp())), secrets.token_urlsafe(16)
    signed = sign(
        secret, OUT, timestamp=timestamp, nonce=nonce, method="POST", query=query, body=body
    )
    return {"Kefu-Timestamp": timestamp, "Kefu-Nonce": nonce, "Kefu-Signature": signed}
