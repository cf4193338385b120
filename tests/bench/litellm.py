"""LiteLLM's proxy, in an environment of its own, in front of the same upstream."""

import os
import subprocess
import sys
from pathlib import Path

from tests.bench.stacks import ROOT, Servers, Stack

VERSION = "1.77.7"
KEY = "sk-bench"
FOLDER = ROOT / ".local" / "bench" / f"litellm-{VERSION}"
_CONFIG = """
model_list:
  - model_name: bench
    litellm_params: {{model: openai/m-1, api_base: "{upstream}/v1", api_key: sk-upstream}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false, request_timeout: 120}}
"""


class NotInstalled(Exception):
    """Why there is no LiteLLM to compare with."""


def install() -> Path:
    """Its program. Raises NotInstalled."""
    program = FOLDER / "bin" / "litellm"
    if not program.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True, capture_output=True)
            package = f"litellm[proxy]=={VERSION}"
            pip = [FOLDER / "bin" / "pip", "install", "--quiet", package]
            subprocess.run(pip, check=True, capture_output=True, timeout=900)
        except (OSError, subprocess.SubprocessError) as error:
            raise NotInstalled(f"LiteLLM {VERSION} could not be installed: {error}") from error
    return program


class LiteLLM(Stack):
    name = "litellm"

    def __init__(self, servers: Servers, upstream: str) -> None:
        self.program = str(install())
        self._upstream = upstream
        super().__init__(servers)

    def _environment(self) -> dict[str, str]:
        kept = ("PATH", "HOME", "LANG")
        return {name: os.environ[name] for name in kept if name in os.environ} | {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # nothing is fetched from elsewhere
            "LITELLM_LOG": "ERROR",
        }

    def prepare(self) -> None:
        path = self.servers.home / "litellm.yaml"
        path.write_text(_CONFIG.format(upstream=self._upstream, key=KEY))

    def _command(self, port: int) -> list[str]:
        config = str(self.servers.home / "litellm.yaml")
        return ["--config", config, "--host", "127.0.0.1", "--port", str(port)]
