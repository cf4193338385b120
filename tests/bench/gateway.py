"""The product's gateway as it is served (`kefu.serve`), and a watch over its collections.

In CPU time: the core is shared with the servers, whose turns are no part of a collection.
"""

import gc
import json
import os
import time
from pathlib import Path

from kefu import serve
from kefu.asgi import application

__all__ = ["application"]

_began = 0.0
_longest: list[float] = []  # ms


def _watch(phase: str, info: dict[str, int]) -> None:
    global _began
    if phase == "start":
        _began = time.thread_time()
        return
    pause_ms = (time.thread_time() - _began) * 1000
    if pause_ms > 1:
        _longest.append(round(pause_ms, 2))
        path = Path(os.environ["BENCH_GC_FOLDER"]) / f"gc-{os.getpid()}.json"
        path.write_text(json.dumps(sorted(_longest)[-100:]))


gc.callbacks.append(_watch)

if __name__ == "__main__":
    serve.main()
