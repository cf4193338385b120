"""The chat page and the uploads of visitors, over HTTP."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("key", ["a%00b", "a%0ab", "nowhere", "a" * 300])
def test_what_is_no_inbox_is_not_found(client: Client, key: str) -> None:
    assert client.get(f"/chat/{key}/").status_code == 404
    assert client.post(f"/chat/{key}/uploads/").status_code == 404


def test_pictures_may_come_from_where_files_are(client: Client, web_inbox, settings) -> None:
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    sources = [*directives["img-src"], "https://files.example"]  # as MEDIA_URL makes them
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {**directives, "img-src": sources}}

    policy = client.get(f"/chat/{web_inbox.key}/").headers["Content-Security-Policy"]

    assert "img-src 'self' data: blob: https://files.example;" in policy
