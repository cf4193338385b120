"""What only Feishu has: its own seal."""

from typing import Any

from channels_adapters.feishu import crypto


def decrypt(case: dict[str, Any]) -> dict[str, Any]:
    key = case["config"]["encrypt_key"]
    return {"plaintext": crypto.open_sealed(case["input"]["encrypt"], key)}
