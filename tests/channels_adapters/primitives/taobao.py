"""What only TOP has: its signatures and the frames of its socket."""

from typing import Any

from channels_adapters.taobao import frames, signing

Case = dict[str, Any]


def sign(case: Case) -> Case:
    params = case["input"]["params"]
    secret = case["config"]["app_secret"]
    return {"sign": signing.top_sign(params, secret, params["sign_method"])}


def frame(case: Case) -> Case:
    given = case["input"]
    if "hex" in given:
        return _read(bytes.fromhex(given["hex"]), case["expect"]["fields"])
    if "id" in given:
        return {"hex": frames.confirm(int(given["id"]), given["token"]).hex()}
    key, secret = case["config"]["app_key"], case["config"]["app_secret"]
    stamp, group = given["timestamp"], given["group_name"]
    written = frames.connect(
        key,
        secret,
        group=group,
        timestamp_ms=stamp,
        sdk=given["sdk"],
        intranet_ip=given["intranet_ip"],
    )
    return {"sign": frames.connect_sign(key, group, stamp, secret), "hex": written.hex()}


def _read(written: bytes, expected: Case) -> Case:
    """Ids as text where the vector writes them so: JSON's numbers end at 2^53."""
    found = frames.decode(written)
    fields = {
        name: str(value) if isinstance(expected.get(name), str) else value
        for name, value in found.fields.items()
    }
    return {"type": found.type, "token": found.token, "fields": fields}
