"""What only e-mail has: a raw mail, read and threaded."""

from typing import Any

from channels_adapters.email import mime, threads


def email(case: dict[str, Any]) -> dict[str, Any]:
    mail = mime.read(case["input"]["raw"].encode(), max_file=1024)
    known = threads.first_known(mail.mentions, set(case["config"]["known_outbound_ids"]))
    return {
        "thread": known or "new",
        "message_id": mail.message_id,
        "from_address": mail.from_address,
        "from_name": mail.from_name,
        "subject": mail.subject,
        "text": mail.text,
        "automatic": bool(mail.machine),
    }
