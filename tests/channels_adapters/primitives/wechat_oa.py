"""What only the vectors of WeChat's accounts have: sealing."""

from typing import Any

from tests.channels_adapters.primitives import wecom


def encrypt(case: dict[str, Any]) -> dict[str, Any]:
    return wecom.encrypt(case, "app_id")
