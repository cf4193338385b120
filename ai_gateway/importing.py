"""Files made articles: Markdown, text, web pages, Word and PDF, each to a title and Markdown.

`read` is pure. The libraries below read strangers' files, so whatever they raise is told as
CannotImport: there is nothing that the caller could do about it but say so.
"""

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from bs4 import BeautifulSoup, Tag
from django.utils.translation import gettext as _
from markdownify import MarkdownConverter

from ai_gateway.models.article import MOST_BODY
from tickets.text import clean

MOST_BYTES = 20 * 1024 * 1024
MOST_UNPACKED = 200 * 1024 * 1024  # bytes of a .docx
MOST_PAGES = 1_000

_OLE = b"\xd0\xcf\x11\xe0"  # Word before 2007, or a .docx with a password
_NO_TEXT = ["script", "style", "noscript", "template", "svg", "nav", "form", "iframe", "head"]
_TITLE = re.compile(r"\A\s*#\s+(.+?)\s*#*\s*(?:\n|\Z)")
_PRIVATE_USE = re.compile(r"[\ue000-\uf8ff]")


class CannotImport(Exception):
    """This file cannot become an article; the text says why, in the reader's language."""


@dataclass(frozen=True)
class Document:
    title: str
    body: str  # Markdown


def read(name: str, content: bytes) -> Document:
    """The article in a file of this name. Raises CannotImport."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in READERS:
        allowed = ", ".join(READERS)
        raise CannotImport(_("不支持这种文件，支持的有：%(allowed)s") % {"allowed": allowed})
    if len(content) > MOST_BYTES:
        raise too_large()
    title, body = READERS[suffix](content)
    heading = _TITLE.match(body)
    if heading:
        title, body = title or heading.group(1), body[heading.end() :]
    body = clean(re.sub(r"\n{3,}", "\n\n", body)).strip()
    if not body:
        raise CannotImport(_("文件里没有文字"))
    if len(body) > MOST_BODY:
        raise CannotImport(_("文字超过 %(limit)s 字，请分成几篇") % {"limit": MOST_BODY})
    title = " ".join(clean(title or PurePath(name).stem).split())
    return Document(title[:200], body)


def too_large() -> CannotImport:
    """For whoever knows a file's size before its bytes."""
    return CannotImport(_("文件超过 %(limit)s MB") % {"limit": MOST_BYTES // 1024**2})


def decoded(content: bytes) -> str:
    """Text in UTF-8, UTF-16 with its mark, or GB18030. Raises CannotImport."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\0" in content:
        raise CannotImport(_("不是文本文件"))
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _PRIVATE_USE.search(text):  # where GB18030 puts what it does not know
            return text
    raise CannotImport(_("无法识别文字编码，请存为 UTF-8"))


def _read_text(content: bytes) -> tuple[str, str]:
    return "", decoded(content)


def _read_html(content: bytes) -> tuple[str, str]:
    declares = b"charset" in content[:2048].lower()
    try:
        page = BeautifulSoup(content.decode("utf-8-sig"), "html.parser")
    except UnicodeDecodeError:
        page = BeautifulSoup(content if declares else decoded(content), "html.parser")
    title = page.title.get_text() if page.title else ""
    for unwanted in page(_NO_TEXT):
        unwanted.decompose()
    return title.strip(), _markdown(page.find("main") or page.find("article") or page)


def _markdown(part: Tag) -> str:
    converter = MarkdownConverter(heading_style="ATX", bullets="-", strip=["img"])
    try:
        return str(converter.convert_soup(part))
    except RecursionError as error:
        raise CannotImport(_("文件嵌套太深")) from error


def _read_docx(content: bytes) -> tuple[str, str]:
    if content.startswith(_OLE):
        raise CannotImport(_("是旧的 .doc 格式，或设有密码；请另存为没有密码的 .docx"))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            if sum(entry.file_size for entry in package.infolist()) > MOST_UNPACKED:
                raise CannotImport(_("文件解开后太大"))
        import mammoth  # slow import, and 10 MB of every process with the next one

        page = mammoth.convert_to_html(
            io.BytesIO(content), convert_image=mammoth.images.img_element(lambda _image: {})
        )
    except CannotImport:
        raise
    except Exception as error:  # an outermost edge: a broken package breaks anywhere
        raise CannotImport(_("文件已损坏，无法打开")) from error
    return "", _markdown(BeautifulSoup(page.value, "html.parser"))


def _read_pdf(content: bytes) -> tuple[str, str]:
    try:
        import pypdf  # slow import

        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise CannotImport(_("PDF 设有密码，请先去除密码"))
        if len(reader.pages) > MOST_PAGES:
            raise CannotImport(_("PDF 超过 %(limit)s 页，请分成几个") % {"limit": MOST_PAGES})
        title = (reader.metadata.title if reader.metadata else "") or ""
        body = "\n\n".join(page.extract_text() for page in reader.pages)
    except CannotImport:
        raise
    except Exception as error:  # an outermost edge: pypdf meets files of all kinds
        raise CannotImport(_("文件已损坏，无法打开")) from error
    if not body.strip():
        raise CannotImport(_("PDF 里没有文字，可能是扫描件；请先做文字识别"))
    return title, body


READERS: dict[str, Callable[[bytes], tuple[str, str]]] = {
    ".md": _read_text,
    ".markdown": _read_text,
    ".txt": _read_text,
    ".html": _read_html,
    ".htm": _read_html,
    ".docx": _read_docx,
    ".pdf": _read_pdf,
}
"""Suffix -> (title or "", Markdown) of a file's bytes."""
