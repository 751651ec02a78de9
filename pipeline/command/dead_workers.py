"""Ends a run whose worker process has died.

With ``--direct_running_mode=multi_processing``, Beam's runner notices a dead worker only while it
reads from it; one that dies between two bundles is waited for without end.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from grpc import RpcError

# Beam gives this name to the threads that wait for a worker process. They raise when it dies.
BEAMS_NAME = "run_worker"
# Seconds that Beam has to notice by itself and to end its other workers.
GRACE = 20.0


def watch_workers(last_words: Callable[[str], str], grace: float = GRACE) -> None:
    """Ends this process with status 1 when a worker has died and the run then does not end.

    Other workers end with it because they lose their connection.

    Args:
        last_words: From what happened to what is printed on standard error.
        grace: Seconds between the death and the end.
    """
    usual = threading.excepthook

    def end(reason: str) -> None:
        print(last_words(reason), file=sys.stderr, flush=True)
        # Not sys.exit, which would wait for the main thread, which waits for the dead worker.
        os._exit(1)

    def hook(failure: threading.ExceptHookArgs) -> None:
        # A connection that ended with its worker says nothing; the worker's death is said.
        if failure.exc_type is not RpcError:
            usual(failure)
        if failure.thread is not None and failure.thread.name == BEAMS_NAME:
            timer = threading.Timer(grace, end, [f"a worker has died: {failure.exc_value}"])
            timer.daemon = True
            timer.start()

    threading.excepthook = hook
