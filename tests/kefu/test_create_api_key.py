import io

import pytest
from django.core.management import CommandError, call_command

from tickets.models import ApiKey

pytestmark = pytest.mark.django_db


def test_a_scope_that_is_none_is_said_with_those_there_are() -> None:
    with pytest.raises(
        CommandError, match=r"no scope is called 'nope'; there are: .*read"
    ) as error:
        call_command("create_api_key", "t1", "--scope", "read", "nope")

    assert error.value.returncode == 1
    assert not ApiKey.objects.exists()


def test_the_key_is_printed_last() -> None:
    out = io.StringIO()

    call_command("create_api_key", "t1", "--scope", "read", stdout=out)

    assert ApiKey.objects.with_token(out.getvalue().splitlines()[-1]).get().scopes == ["read"]
