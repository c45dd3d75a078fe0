"""A StreamService as a program: it listens on the port in its last argument."""

from __future__ import annotations

import sys
import threading

from plugin import servicers
from pytest_grpcstream.targets.serving import serve


def main(name: str) -> None:
    """Serve a servicer until the process is killed."""
    serve(getattr(servicers, name), name, f"127.0.0.1:{sys.argv[-1]}")
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
