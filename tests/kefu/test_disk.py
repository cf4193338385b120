"""What `up` does where its home cannot be written to any more."""

import io
import socket
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from kefu import up
from kefu.supervisor import Printer


def test_a_file_that_cannot_be_written_is_said_and_ends_nothing(tmp_path: Path) -> None:
    out = io.StringIO()
    (tmp_path / "roles.json").mkdir()  # as good as a full disk: no file can take its place
    (tmp_path / "roles.json" / "x").touch()
    with socket.socket() as listener:
        run = up._Run(
            tmp_path,
            "http://127.0.0.1:1",
            {},
            listener=listener,
            servers=SimpleNamespace(by_variable={}),
            printer=Printer(["kefu"], out),
        )
        run._note_roles()

    [line] = out.getvalue().splitlines()
    assert f"cannot write {tmp_path}/roles.json: " in line
    assert f"the disk of {tmp_path} has" in line


def test_counts_are_kept_in_memory_where_the_machine_has_a_place(tmp_path: Path) -> None:
    folder = up._counts_folder(tmp_path)
    (folder / "counter_1.db").touch()
    kept_in = folder.resolve()
    assert kept_in.is_relative_to(up.MEMORY) == up.MEMORY.is_dir()

    again = up._counts_folder(tmp_path)  # after an end that nobody could tidy up

    assert list(again.iterdir()) == []
    up._forget_counts(again)
    assert not again.exists()
    assert not kept_in.exists()


def test_without_such_a_place_counts_are_kept_in_the_home(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(up, "MEMORY", tmp_path / "nowhere")

    folder = up._counts_folder(tmp_path)

    assert folder.is_dir()
    assert not folder.is_symlink()


@pytest.mark.parametrize("hosts", ["127.0.0.1", "127.0.0.1,localhost"])
def test_the_reason_of_a_server_that_does_not_answer_is_named(hosts: str) -> None:
    ports = ",".join("1" for _ in hosts.split(","))
    with pytest.raises(psycopg.OperationalError) as error:
        psycopg.connect(f"host={hosts} port={ports} user=kefu dbname=kefu")

    assert "refused" in up._reason(error.value)
