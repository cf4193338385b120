"""What only DingTalk has: sealed answers, and the signature of its custom robots."""

from typing import Any
from urllib.parse import urlencode

from channels_adapters import sealed
from channels_adapters.dingtalk import api

Case = dict[str, Any]


def decrypt(case: Case) -> Case:
    config, given = case["config"], case["input"]
    parts = (config["token"], given["timestamp"], given["nonce"], given["encrypt"])
    assert sealed.is_signed(given["msg_signature"], *parts)
    key, receiver = config["encoding_aes_key"], config["receiver"]
    return {"plaintext": sealed.open_sealed(given["encrypt"], key, receiver)}


def encrypt(case: Case) -> Case:
    config, given = case["config"], case["input"]
    cipher_text = sealed.seal(
        given["plaintext"],
        config["encoding_aes_key"],
        config["receiver"],
        random16=given["random16"].encode(),
    )
    parts = (config["token"], given["timestamp"], given["nonce"], cipher_text)
    return {"encrypt": cipher_text, "msg_signature": sealed.signature(*parts)}


def sign(case: Case) -> Case:
    stamp = case["input"]["timestamp"]
    signed = api.sign(stamp, case["config"]["secret"])
    return {"sign": signed, "query": urlencode({"timestamp": stamp, "sign": signed})}


def open_sealed(case: Case, reply: Case) -> str:
    """The plain text of an answer of ours, its signature looked at."""
    config = case["config"]
    parts = (config["token"], reply["timeStamp"], reply["nonce"], reply["encrypt"])
    assert sealed.is_signed(reply["msg_signature"], *parts)
    return sealed.open_sealed(reply["encrypt"], config["encoding_aes_key"], config["receiver"])
