"""Where files are kept: a folder, or a bucket that only our own links open."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from moto.server import ThreadedMotoServer

from kefu.storage import backend_of
from tickets import files
from tickets.services import attachments

HERE = Path("/srv/media")
TEXT = "发票抬头：北京某某科技有限公司".encode()


def test_without_a_url_files_are_in_the_media_folder() -> None:
    assert backend_of("", default=HERE)["OPTIONS"] == {"location": "/srv/media"}


def test_a_folder_may_be_named() -> None:
    assert backend_of("file:///data/up%20loads", default=HERE)["OPTIONS"] == {
        "location": "/data/up loads"
    }


@pytest.mark.parametrize(
    "url", ["/data", "ftp://host/x", "s3:///prefix", "file://host/x", "s3://bucket?acl=public"]
)
def test_what_cannot_be_read_is_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"STORAGE_URL: .*s3://KEY:SECRET@bucket"):
        backend_of(url, default=HERE)


@pytest.fixture
def bucket(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket of a real S3 server on this machine, in place of the folder."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3 = boto3.resource(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="sec/ret",
    )
    made = s3.create_bucket(Bucket="kefu-files")
    url = f"s3://key:sec%2Fret@kefu-files/up?region=us-east-1&endpoint={endpoint}"
    settings.STORAGES = {**settings.STORAGES, "default": backend_of(url, default=HERE)}
    yield made
    server.stop()


@pytest.mark.django_db
def test_a_file_goes_into_the_bucket_and_comes_out_by_our_link(bucket: Any) -> None:
    attachment = attachments.store(io.BytesIO(TEXT), name="抬头.txt")

    [stored] = bucket.objects.all()
    assert stored.key.startswith("up/")
    link = files.signed_url(attachment)
    assert "kefu-files" not in link

    answer = Client().get(link.removeprefix("http://127.0.0.1:8000"))
    assert b"".join(answer.streaming_content) == TEXT
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.django_db
def test_links_may_have_a_host_of_their_own(settings: Any) -> None:
    settings.FILES_URL = "https://files.example.com"

    link = files.signed_url(attachments.store(io.BytesIO(TEXT), name="a.txt"))

    assert link.startswith("https://files.example.com/files/")
