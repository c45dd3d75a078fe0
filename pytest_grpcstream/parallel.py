"""Runs calls concurrently, each in its own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def run_concurrently(jobs: Iterable[Callable[[], object]]) -> None:
    """Run all jobs at once and wait for all of them; then raise what the first job in order raised, if any did.

    Each job must have a time limit of its own, as every operation on a stream has.
    """
    waiting = list(jobs)
    with ThreadPoolExecutor(len(waiting), thread_name_prefix="grpcstream-job") as pool:
        futures = [pool.submit(job) for job in waiting]
    for future in futures:
        future.result()
