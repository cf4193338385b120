"""Why a reply did not arrive, in words for agents."""

import pytest

from agents.templatetags.ui import fault_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            {"code": "45015", "detail": "response out of time limit"},
            "消息未送达：微信 48 小时窗口已关闭，请等客户来信或改用其他渠道。 45015",
        ),
        ({"code": "40099", "detail": "no such thing"}, "消息未送达：no such thing 40099"),
        ({"code": "odd", "detail": ""}, "消息未送达：平台拒绝了这条消息。"),
        ({"code": "unknown", "detail": ""}, "结果未知：平台没有应答，客户可能已经收到。"),
        ({"code": "", "detail": "{0.__class__}"}, "消息未送达：{0.__class__}"),
    ],
)
def test_a_known_code_is_explained_and_another_is_the_platform_s_own(error, words):
    assert fault_words(error) == words
