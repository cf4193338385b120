"""Signed identities: a site tells us who its logged-in visitor is, by a JWT (HS256)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from tickets.envelopes import Sender
from tickets.models import ContactIdentity, IdentityLink, Inbox
from tickets.services import contacts, joining
from tickets.text import clean

MAX_AGE = timedelta(hours=24)
MAX_TOKEN = 8000  # characters
USER_PREFIX = "user:"
SOURCE = "identity_jwt"


class BadIdentity(Exception):
    """The token is not one that this inbox's secret signed, or is expired or too long-lived."""


@dataclass(frozen=True)
class Claims:
    """What the site says of its visitor; `user_id` is its own id of them."""

    user_id: str
    name: str
    email: str
    phone: str
    unionid: str


def read(token: str, *, secret: str, now: datetime) -> Claims:
    """The claims of a valid token. Raises BadIdentity."""
    if not secret:
        raise BadIdentity("this inbox has no identity secret")
    if len(token) > MAX_TOKEN:
        raise BadIdentity(f"the token is longer than {MAX_TOKEN} characters")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            options={"require": ["sub", "exp"], "verify_aud": False},
        )
    except (jwt.InvalidTokenError, ValueError, OverflowError) as error:
        raise BadIdentity(str(error)) from error
    if claims["exp"] > (now + MAX_AGE).timestamp() + 60:
        raise BadIdentity("exp is more than 24 hours ahead")
    user_id = claims["sub"]
    if not isinstance(user_id, str) or not 0 < len(user_id) <= 150:
        raise BadIdentity("sub is not a string of 1 to 150 characters")
    if clean(user_id) != user_id:
        raise BadIdentity("sub has a character that is none")
    said = {name: str(value) for name, value in claims.items() if isinstance(value, str)}
    return Claims(
        user_id=user_id,
        name=said.get("name", ""),
        email=said.get("email", ""),
        phone=said.get("phone", ""),
        unionid=said.get("unionid", ""),
    )


def attribute(
    inbox: Inbox, claims: Claims, held: ContactIdentity | None, *, now: datetime
) -> ContactIdentity:
    """The identity of the signed visitor; `held` is that of the token they came with.

    What an anonymous visitor wrote before becomes the signed person's. A token of another
    user is left alone.
    """
    external_id = USER_PREFIX + claims.user_id
    sender = Sender(external_id, claims.name, claims.email, claims.phone, verified=True)
    identity = contacts.identify(inbox, sender, now=now)
    for other in _same_user(inbox, external_id, identity):
        _link(other, identity, now)
    joining.note(identity, _vouched_for(claims), now=now)
    if held and not held.external_id.startswith(USER_PREFIX) and not _signed(held):
        _link(identity, held, now)
    identity.refresh_from_db()
    return identity


def _vouched_for(claims: Claims) -> Sender:
    """The site signed it: what it says of its user is proven as far as we can know."""
    return Sender(
        external_id=USER_PREFIX + claims.user_id,
        email=claims.email,
        phone=claims.phone,
        union_id=f"wechat:{claims.unionid}" if claims.unionid else "",
        email_verified=True,
        phone_verified=True,
    )


def _same_user(inbox: Inbox, external_id: str, identity: ContactIdentity) -> list[ContactIdentity]:
    """The same user id in other inboxes that share the secret, and are not joined yet."""
    others = (
        ContactIdentity.objects.select_related("inbox", "contact", "home")
        .filter(external_id=external_id, inbox__type=inbox.type)
        .exclude(pk=identity.pk)
        .exclude(contact=identity.contact_id)
        .order_by("pk")
    )
    secret = inbox.credentials.get("identity_secret")
    return [o for o in others if o.inbox.credentials.get("identity_secret") == secret]


def _signed(identity: ContactIdentity) -> bool:
    """Whether the identity's person is known as a signed user already."""
    return identity.contact.identities.filter(external_id__startswith=USER_PREFIX).exists()


def _link(primary: ContactIdentity, secondary: ContactIdentity, now: datetime) -> None:
    contacts.link(
        primary.contact,
        secondary.contact,
        evidence=IdentityLink.Evidence.USER_ID,
        verified=True,
        source=SOURCE,
        now=now,
    )
