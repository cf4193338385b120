"""Somebody's server that takes our hooks, and tells what came.

with FakeHook() as server:
    server.will(as_json({}), respond(b"", 500))     # one behaviour a call, the last one stays
    … server.url …
    server.verified(secret)                         # each body, its signature checked
"""

import datetime as dt
import ipaddress
import ssl
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from tests.fakes.server import Behaviour, FakeServer, Request, respond

TAKEN = respond(b"")


class FakeHook(FakeServer):
    """Takes everything, unless it is told otherwise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.will(TAKEN)
        self.by_event: dict[str, Behaviour] = {}

    @property
    def url(self) -> str:
        return f"{self.origin}/hook"

    def behaviour_for(self, request: Request) -> Behaviour:
        return self.by_event.get(request.body.get("event", "")) or self.next_behaviour()

    @property
    def events(self) -> list[str]:
        return [request.body["event"] for request in self.requests]

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """The bodies. Raises WebhookVerificationError of the public library."""
        return [Webhook(secret).verify(each.raw, each.headers) for each in self.requests]


@cache
def unknown_authority() -> ssl.SSLContext:
    """TLS with a certificate for 127.0.0.1 that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context.load_cert_chain(file)
    return context
