"""A bridge in one file, with the standard library alone: copy it, and speak your platform's words.

KEFU_URL=https://kefu.example KEFU_INBOX=<key> KEFU_SECRET=<secret> python bridge.py
"""

import hashlib
import hmac
import json
import os
import secrets
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

Headers = Mapping[str, str]


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
    """`direction` is "in" for calls of Kefu, "out" for calls from it."""
    head = "\n".join(("kefu-bridge-v1", direction, timestamp, nonce, method, query))
    digest = hmac.new(secret.encode(), head.encode() + b"\n" + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


class Bridge:
    """Kefu, as your program sees it. A call that fails raises `urllib.error.HTTPError`: its body
    says what is wrong. Repeat it, signed anew: what was taken once is not taken twice.
    """

    def __init__(self, url: str, inbox: str, secret: str) -> None:
        self.hook = f"{url.rstrip('/')}/hooks/{inbox}/"
        self.secret = secret

    def say(self, source_id: str, person: Mapping[str, str], text: str, **more: Any) -> None:
        """Hand in what somebody said; `source_id` is your platform's id of the message."""
        message = {"source_id": source_id, "from": dict(person), "text": text, **more}
        self._call("POST", self.hook, {"messages": [message]})

    def report(self, answer_id: str, status: str, **more: str) -> None:
        """What became of an answer: sent, delivered, read or failed (with code and detail)."""
        self._call("POST", self.hook, {"receipts": [{"id": answer_id, "status": status, **more}]})

    def answers(self, wait_s: int = 20) -> list[dict[str, Any]]:
        """The answers that are to be sent now. Each comes again until you report on it."""
        found: list[dict[str, Any]] = self._call("GET", f"{self.hook}outbox/?wait={wait_s}")[
            "messages"
        ]
        return found

    def run(self, send: Callable[[Mapping[str, Any]], str]) -> None:
        """Send answers for ever; `send` returns your platform's id of the message."""
        while True:
            for answer in self.answers():
                try:
                    platform_id = send(answer)
                except Exception as error:  # whatever your platform throws: the agent is told
                    self.report(answer["id"], "failed", detail=str(error)[:300])
                else:
                    self.report(answer["id"], "sent", platform_id=platform_id)

    def verify(self, headers: Headers, query: str, body: bytes) -> bool:
        """Whether a call of your webhook came from Kefu within the last five minutes.

        Header names in lower case.
        """
        stamp, nonce = headers.get("kefu-timestamp", ""), headers.get("kefu-nonce", "")
        expected = sign(
            self.secret,
            "out",
            timestamp=stamp,
            nonce=nonce,
            method="POST",
            query=query,
            body=body,
        )
        fresh = stamp.isdigit() and abs(time.time() - int(stamp)) < 300
        return fresh and hmac.compare_digest(headers.get("kefu-signature", ""), expected)

    def _call(self, method: str, url: str, document: Any = None) -> dict[str, Any]:
        body = b"" if document is None else json.dumps(document).encode()
        stamp, nonce = str(int(time.time())), secrets.token_urlsafe(16)
        query = url.partition("?")[2]
        signature = sign(
            self.secret,
            "in",
            timestamp=stamp,
            nonce=nonce,
            method=method,
            query=query,
            body=body,
        )
        headers = {
            "Content-Type": "application/json",
            "Kefu-Timestamp": stamp,
            "Kefu-Nonce": nonce,
            "Kefu-Signature": signature,
        }
        request = urllib.request.Request(url, body or None, headers, method=method)
        with urllib.request.urlopen(request, timeout=40) as response:
            answer: dict[str, Any] = json.load(response)
            return answer


def main() -> None:
    """A platform of one person at a keyboard."""
    kefu = Bridge(os.environ["KEFU_URL"], os.environ["KEFU_INBOX"], os.environ["KEFU_SECRET"])
    kefu.say(secrets.token_hex(8), {"id": "me", "name": "我"}, input("你："))

    def show(answer: Mapping[str, Any]) -> str:
        print("客服：", answer["text"] or answer["media"]["url"])
        return str(answer["id"])

    kefu.run(show)


if __name__ == "__main__":
    main()
