"""XML of platforms: flat documents, without any of XML's dangers (§1.9 of the wire reference)."""

from xml.etree.ElementTree import ParseError

import defusedxml.ElementTree as safe
from defusedxml import DefusedXmlException

from channels_adapters.errors import HookRefused, Reason


def fields(document: bytes | str) -> dict[str, str]:
    """Child name -> text, CDATA joined, the empty string kept, nested children as their XML.

    Raises HookRefused: not XML, a DTD or an entity, a name twice.
    """
    try:
        root = safe.fromstring(document, forbid_dtd=True)
    except DefusedXmlException as error:
        raise HookRefused(Reason.UNSAFE_XML, type(error).__name__) from error
    except (ParseError, ValueError, LookupError) as error:
        raise HookRefused(Reason.MALFORMED, "no XML") from error
    found: dict[str, str] = {}
    for child in root:
        if child.tag in found:
            raise HookRefused(Reason.MALFORMED, f"{child.tag} twice")
        found[child.tag] = _content(child)
    return found


def _content(element: "safe.Element") -> str:
    if len(element):
        return "".join(safe.tostring(child, encoding="unicode") for child in element)
    return element.text or ""
