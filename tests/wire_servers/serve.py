"""A program that serves the StreamService on loopback: ``serve.py --port N [--variant NAME | --mutant NAME]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> None:
    """Parse the command line and serve until SIGTERM."""
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # where `wire_servers` and `wire_mutants` are
    from wire_servers.parts import Parts, with_part
    from wire_servers.server import Server
    from wire_servers.variants import VARIANTS

    parser = argparse.ArgumentParser(description="Serve the StreamService on plain HTTP/2 frames.")
    parser.add_argument("--port", type=int, required=True, help="Port of 127.0.0.1 to listen on")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--variant", choices=VARIANTS, help="Correct server with another choice")
    which.add_argument("--mutant", metavar="NAME", help="Server that is broken in one way")
    options = parser.parse_args()
    parts = Parts()
    if options.variant is not None:
        parts = VARIANTS[options.variant]
    elif options.mutant is not None:
        from wire_mutants.bank import MUTANTS

        if options.mutant not in MUTANTS:
            parser.error(f"argument --mutant: unknown mutant {options.mutant!r}; choose from {', '.join(MUTANTS)}")
        parts = with_part(MUTANTS[options.mutant])
    Server(options.port, parts).run()


if __name__ == "__main__":
    main()
