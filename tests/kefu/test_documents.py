"""What the documents promise is there."""

import re

import pytest

from kefu.home import PROJECT


def test_every_setting_stands_in_the_operations_page() -> None:
    source = (PROJECT / "kefu" / "settings.py").read_text()
    names = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
    page = (PROJECT / "docs" / "operations.md").read_text()

    assert {name for name in names if f"`{name}`" not in page} == {"KEFU_ROLE"}  # set by us


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readmes_links_lead_somewhere(readme: str) -> None:
    text = (PROJECT / readme).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]

    assert [link for link in links if not (PROJECT / link).exists()] == []
