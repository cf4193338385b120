"""English is complete: Django shows Chinese where it is not."""

from pathlib import Path

import polib
from django.conf import settings
from django.utils import translation

from kefu import translations
from kefu.management.commands import check_translations

CATALOGUE = Path(settings.BASE_DIR) / translations.CATALOGUE


def test_every_chinese_string_has_its_english():
    lacking = check_translations.lacking(
        polib.pofile(str(CATALOGUE)), translations.source_strings()
    )

    assert {source.text: where for source, where in lacking.items()} == {}


def test_the_compiled_catalogue_is_that_of_the_source():
    source = {
        (e.msgid, e.msgctxt): e.msgstr or e.msgstr_plural for e in polib.pofile(str(CATALOGUE))
    }
    compiled = polib.mofile(str(CATALOGUE.with_suffix(".mo")))

    assert {(e.msgid, e.msgctxt): e.msgstr or e.msgstr_plural for e in compiled} == source


def test_no_english_text_has_chinese_left_in_it():
    left = [
        entry.msgstr
        for entry in polib.pofile(str(CATALOGUE))
        if entry.msgid != "简体中文" and any("一" <= letter <= "鿿" for letter in entry.msgstr)
    ]

    assert left == []


def test_placeholders_are_the_same_on_both_sides():
    wrong = [
        entry.msgid
        for entry in polib.pofile(str(CATALOGUE))
        for text in [entry.msgstr, *entry.msgstr_plural.values()]
        if text and translations.placeholders(entry.msgid) != translations.placeholders(text)
    ]

    assert wrong == []


def test_english_is_what_one_gets():
    with translation.override("en"):
        assert translation.gettext("两步验证") == "Two-step verification"
