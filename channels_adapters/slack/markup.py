"""Slack's text: entities escaped, links and mentions in angle brackets; both ways."""

import re

_LINK = re.compile(r"<((?:https?|mailto|tel):[^<>|\s]+)(?:\|([^<>]*))?>")
_NAMED = re.compile(r"<([@#!])([^<>|]+)(?:\|([^<>]*))?>")


def read(text: str) -> str:
    """The text as its writer saw it."""
    text = _LINK.sub(_link, text)
    text = _NAMED.sub(lambda found: found[1].replace("!", "@") + (found[3] or found[2]), text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _link(found: re.Match[str]) -> str:
    address, label = found[1], found[2]
    shown = address.partition(":")[2] if address.startswith(("mailto:", "tel:")) else address
    return f"{label} ({shown})" if label and label != shown else shown


def written(text: str) -> str:
    """The text so that Slack shows it as it is: nobody is mentioned by what a bot repeats."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
