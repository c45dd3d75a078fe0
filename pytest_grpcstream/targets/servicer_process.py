"""Serves one Python servicer in a process of its own, started with the arguments ``MODULE ATTRIBUTE FD``.

What happened is reported as one line of JSON on the file descriptor FD: ``{"address": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Final

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.targets.serving import load, serve

GRACE: Final = 0.2
"""Seconds that open streams get when the server is told to stop: the run is over, nobody waits for them."""


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM; return 0 then, 1 when the servicer cannot be served."""
    module, attribute, descriptor = arguments
    # Only now, when this package is imported: in a checkout of it, the current folder has another one of its name.
    sys.path.insert(0, os.getcwd())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(int(descriptor), "w", encoding="utf-8") as report:
        try:
            handle = serve(load(module, attribute), f"{module}:{attribute}")
        except TargetError as error:
            if error.__cause__ is not None:
                traceback.print_exception(error.__cause__)
            print(json.dumps({"error": str(error)}), file=report)
            return 1
        # A pipe, because a signal that arrives in a thread of gRPC's does not wake a main thread that waits for a lock.
        # Not before it serves: until then, SIGTERM ends an import that hangs.
        told, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(tell)
        print(json.dumps({"address": handle.address}), file=report)
    while signal.SIGTERM not in os.read(told, 64):
        continue
    handle.stop(GRACE)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # A servicer's own threads must not keep the process: nobody waits for them any more.
    os._exit(code)
