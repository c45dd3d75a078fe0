"""Measure how long the whole suite takes on the reference server, over both clients and over each alone.

``python benchmarks/suite_time.py`` starts pytest as a user does, in an empty folder, and measures from the start of the
process to its end, which includes starting and stopping the reference server.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time

from measuring import machine, spread, table

CLIENTS = ("both", "library", "wire")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how long the suite takes on the reference server.")
    parser.add_argument("--runs", type=int, default=3, help="Runs over each client (default: %(default)s)")
    parser.add_argument("--target", default="reference", help="Target of the runs (default: %(default)s)")
    options = parser.parse_args()
    print(f"The whole suite on {options.target}, {options.runs} runs over each client alternately.\n{machine()}\n")
    times: dict[str, list[float]] = {client: [] for client in CLIENTS}
    outcomes: dict[str, dict[str, None]] = {client: {} for client in CLIENTS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.runs):
            for client in CLIENTS:
                seconds, outcome = _run(folder, options.target, client)
                times[client].append(seconds)
                outcomes[client][outcome] = None
    rows = [[client, spread(times[client], "s"), "; ".join(outcomes[client])] for client in CLIENTS]
    table(["client", "median (least to most)", "outcome"], rows)


def _run(folder: str, target: str, client: str) -> tuple[float, str]:
    """Seconds that a run takes, and its outcome as pytest prints it."""
    command = [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider"]
    command += [f"--grpcstream-target={target}", f"--grpcstream-client={client}"]
    began = time.perf_counter()
    run = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    last = run.stdout.strip().rpartition("\n")[2].strip("= ")
    outcome = re.sub(r" in [0-9.]+s.*$", "", last)
    return seconds, outcome if run.returncode == 0 else f"exit code {run.returncode}: {outcome}"


if __name__ == "__main__":
    main()
