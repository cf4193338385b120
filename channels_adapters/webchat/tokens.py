"""A visitor's only credential: a signed token that names their identity, good for its inbox."""

from django.core import signing

from tickets.models import ContactIdentity

_signer = signing.Signer(salt="kefu.visitor")


def issue(identity: ContactIdentity) -> str:
    """The token of an identity; it stays good until the identity is gone."""
    return _signer.sign(str(identity.public_id))


def read(token: str, *, inbox_id: int) -> ContactIdentity | None:
    """Whose token this is; None where it is altered, unknown or another inbox's."""
    try:
        public_id = _signer.unsign(token)
    except signing.BadSignature:
        return None
    return (
        ContactIdentity.objects.select_related("contact", "inbox")
        .filter(public_id=public_id, inbox=inbox_id)
        .first()
    )
