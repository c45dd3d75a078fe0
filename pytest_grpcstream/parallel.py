"""Runs jobs at the same time, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor


def together(jobs: Iterable[Callable[[], object]]) -> None:
    """Run all jobs at once, wait for all of them, then raise the exception of the first job in order that raised one.

    Each job must have a time limit of its own, as every operation on a stream has.
    """
    waiting = list(jobs)
    with ThreadPoolExecutor(len(waiting), thread_name_prefix="grpcstream-job") as pool:
        futures = [pool.submit(job) for job in waiting]
    for future in futures:
        future.result()
