"""What people do beside writing: follow, scan, tap the menu; and what follows (§4.2, §1.7)."""

from collections.abc import Mapping
from datetime import datetime

from channels_adapters.protocol import Event
from channels_adapters.tencent import messages
from tickets.models import ContactIdentity, Inbox
from tickets.services import windows

UNSUBSCRIBED = "unsubscribe"
_SCENE = "qrscene_"  # before the scene of somebody who followed by scanning
_OPENING = {  # those that allow us a few messages; a menu's links (VIEW) do not
    "subscribe": "subscribe",
    "scan": "scan",
    "click": "menu_click",
    "scancode_push": "menu_click",
    "scancode_waitmsg": "menu_click",
}


def of(fields: Mapping[str, str], *, is_proven: bool) -> Event:
    """What the push tells. A scene is a proof only where the platform has sealed what it says."""
    name, key = fields.get("Event", ""), fields.get("EventKey", "")
    source_id, address = messages.occurrence(fields), fields.get("FromUserName", "")
    action = _OPENING.get(name.lower())
    if action is None:
        return Event(name.lower(), source_id, address, dict(fields), is_proven)
    data = {"event": name, "key": key, "action": action}
    scene = key.removeprefix(_SCENE) if action in ("subscribe", "scan") else ""
    if not scene:
        return Event("opened", source_id, address, data, is_proven)
    told = {**data, "proof": scene if is_proven else ""}
    return Event("started", source_id, address, told, is_proven)


def handle(event: Event, *, inbox: Inbox, now: datetime) -> bool:
    """Somebody who left cannot be written to; False for what all channels share."""
    if event.kind != UNSUBSCRIBED:
        return False
    for identity in ContactIdentity.objects.filter(inbox=inbox, external_id=event.address):
        windows.close(identity, now=now)
    return True
