"""The program that serves one Python servicer in a separate process: ``servicer_process.py MODULE ATTRIBUTE FD``.

It reports the outcome as one line of JSON on the file descriptor FD: ``{"address": ...}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Final

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.targets.servicers import load
from pytest_grpcstream.targets.serving import serve

GRACE: Final = 0.2
"""Seconds that open streams get after SIGTERM: the run is over, and no client waits for them."""


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM, then return 0; return 1 if the servicer cannot be served."""
    module, attribute, descriptor = arguments
    # Only after this package was imported: in a checkout of it, the current directory has another one of its name.
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
        # A pipe, because a signal that arrives in one of gRPC's threads does not wake a main thread that waits for a
        # lock. It is set up only now: until the servicer is served, SIGTERM ends an import that hangs.
        wakeup_reader, wakeup_writer = os.pipe()
        os.set_blocking(wakeup_writer, False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(wakeup_writer)
        print(json.dumps({"address": handle.address}), file=report)
    while signal.SIGTERM not in os.read(wakeup_reader, 64):
        continue
    handle.stop(GRACE)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # The servicer's own threads must not keep the process alive.
    os._exit(code)
