"""How old a signed request may be: shown as it is enforced."""

import pytest
from django.test import Client

from channels_adapters.bridge import adapter as bridge
from channels_adapters.dingtalk import adapter as dingtalk
from channels_adapters.feishu import adapter as feishu
from channels_adapters.taobao import adapter as taobao
from tests import factories
from tickets.models.inbox import setting_default


@pytest.mark.parametrize(
    ("channel", "module"),
    [("api", bridge), ("dingtalk", dingtalk), ("feishu", feishu), ("taobao", taobao)],
)
def test_what_is_shown_is_what_is_enforced(channel, module):
    assert setting_default(channel, "max_age_s") == module.MAX_AGE_S


@pytest.mark.django_db
def test_saving_a_page_that_shows_a_default_stores_none():
    inbox = factories.inbox("feishu", credentials={"verification_token": "t"})
    client = Client()
    client.force_login(factories.user("root", role="admin"))
    page = f"/admin/tickets/inbox/{inbox.pk}/change/"
    shown = client.get(page).context["adminform"].form

    fields = {name: shown[name].value() for name in shown.fields}
    response = client.post(page, {k: v for k, v in fields.items() if v not in (None, False)})

    inbox.refresh_from_db()
    assert response.status_code == 302
    assert fields["setting_max_age_s"] == 28_800
    assert inbox.settings == {}
