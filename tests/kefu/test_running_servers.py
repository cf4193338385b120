"""`manage.py doctor` looks into the servers of a Kefu that runs, and starts none."""

import json
import os
from pathlib import Path

import pytest

from kefu import home


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEFU_HOME", str(tmp_path))
    for name in (*home.URLS, "SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        monkeypatch.setenv(name, "")
    urls = {"DATABASE_URL": "postgresql://here", "REDIS_URL": "redis://here"}
    (tmp_path / "servers.json").write_text(json.dumps(urls))
    return tmp_path


def test_those_of_the_owner_are_used(folder: Path) -> None:
    with home.hold(folder, {"what": "up"}), home.servers_that_run():
        assert os.environ["DATABASE_URL"] == "postgresql://here"
        assert os.environ["FIELD_ENCRYPTION_KEYS"]


def test_what_a_crash_left_behind_is_not(folder: Path) -> None:
    with home.servers_that_run():
        assert os.environ["DATABASE_URL"] == ""


def test_without_any_the_command_goes_on(folder: Path) -> None:
    (folder / "servers.json").unlink()
    with home.hold(folder, {"what": "up"}), home.servers_that_run():
        assert os.environ["DATABASE_URL"] == ""
