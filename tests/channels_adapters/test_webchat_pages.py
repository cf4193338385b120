"""The chat page and the uploads of visitors, over HTTP."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("key", ["a%00b", "a%0ab", "nowhere", "a" * 300])
def test_what_is_no_inbox_is_not_found(client: Client, key: str) -> None:
    assert client.get(f"/chat/{key}/").status_code == 404
    assert client.post(f"/chat/{key}/uploads/").status_code == 404
