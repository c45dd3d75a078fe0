"""What tests call to judge a target; `pytest_grpcstream.verify.wire` judges what is on the wire.

A verdict is named after what it checks (`status`, `answer`, `eof`, `metadata`, `silence`) or after what the server must
do (`serves`). A function that acts is a verb (`pause`, `query_cancelled`, `await_cancellation`). `precondition` marks a
requirement as inconclusive unless its precondition holds.

Verdicts read from the stream that they check. They raise `Failure` if the target violates the requirement, and
`Deviation` if a specification advises against its behaviour. Operations on the stream raise their own `StreamError`.
"""

from __future__ import annotations

from pytest_grpcstream.verify.exchanges import (
    EXCHANGES,
    baseline_duplex,
    baseline_list,
    baseline_record,
    baseline_route,
    serves,
    unharmed,
)
from pytest_grpcstream.verify.handlers import (
    await_cancellation,
    endless_sleep,
    new_token,
    pause,
    query_cancelled,
    retry_with_longer_pauses,
    watch,
)
from pytest_grpcstream.verify.streams import (
    answer,
    consecutive,
    counted_answer,
    echoes,
    eof,
    fail_unless,
    list_answer,
    metadata,
    no_findings,
    ok,
    only_answer,
    point,
    precondition,
    responses,
    same,
    silence,
    status,
)

__all__ = [
    "EXCHANGES",
    "answer",
    "await_cancellation",
    "baseline_duplex",
    "baseline_list",
    "baseline_record",
    "baseline_route",
    "consecutive",
    "counted_answer",
    "echoes",
    "endless_sleep",
    "eof",
    "fail_unless",
    "list_answer",
    "metadata",
    "new_token",
    "no_findings",
    "ok",
    "only_answer",
    "pause",
    "point",
    "precondition",
    "query_cancelled",
    "responses",
    "retry_with_longer_pauses",
    "same",
    "serves",
    "silence",
    "status",
    "unharmed",
    "watch",
]
