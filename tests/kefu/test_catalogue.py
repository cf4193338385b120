from kefu import catalogue, home


def test_texts_of_python_are_found_where_they_stand() -> None:
    texts = {word.text: word.place for word in catalogue.words()}

    assert texts["待客户回复"]
    assert any(place.startswith("tickets/models/conversation.py:") for place in texts.values())
    assert "Telegram" not in texts


def test_texts_of_templates_are_found() -> None:
    template = home.PROJECT / "templates"
    assert template.exists()
    texts = {word.place.split(":")[0] for word in catalogue.words()}

    assert any(place.startswith("templates/") for place in texts)


def test_the_compiled_catalogue_has_what_the_parts_have() -> None:
    compiled = catalogue.compile_all()

    assert compiled.stat().st_size > 1000
