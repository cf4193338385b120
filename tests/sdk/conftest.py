"""The live server for the SDK, with the fake AI of the doors."""

from tests.doors.conftest import fake_ai, upstream

__all__ = ["fake_ai", "upstream"]
