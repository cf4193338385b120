"""The widget's pure modules have tests of their own kind, run by Node where it is there."""

import shutil
import subprocess
from pathlib import Path

import pytest

MODULES = Path(__file__).parent / "modules"


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node; the browser tests cover these")
def test_the_modules_pass_their_own_tests() -> None:
    files = sorted(map(str, MODULES.glob("*.test.mjs")))

    done = subprocess.run(["node", "--test", *files], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-3000:]


def test_the_loader_is_small() -> None:
    import gzip

    loader = Path(__file__).parents[2] / "static" / "webchat" / "loader.js"

    assert len(gzip.compress(loader.read_bytes())) < 15_000
