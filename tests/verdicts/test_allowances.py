"""Allowances: a failure that a correct server may cause is only a warning, and every other failure stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import pytest

from pytest_grpcstream.clients.client import Client
from pytest_grpcstream.errors import (
    ConcurrencyLimited,
    EnhanceYourCalm,
    Failure,
    NotProcessed,
    OperationTimeout,
    TargetDied,
)
from pytest_grpcstream.verdicts.allowances import Circumstances, find_allowance
from verdicts.recorded import RecordedCall, RecordedClient, call


def circumstances(
    *calls: RecordedCall,
    calm: str | None = None,
    serves: bool = True,
    limit: int | Callable[[], int | None] | None = None,
) -> Circumstances:
    """What a test of one client did; a limit is that of the server's concurrent streams."""
    clients = cast("Sequence[Client]", [RecordedClient(list(calls), calm)])
    ask = limit if callable(limit) or limit is None else lambda: limit
    return Circumstances(clients, serves, ask)


def timed_out(stream: RecordedCall | None) -> OperationTimeout:
    """The error of an operation on a stream that timed out."""
    return OperationTimeout("a response", "nothing arrived", stream)


def chained(error: Exception, cause: Exception) -> Exception:
    """An error that another one caused."""
    error.__cause__ = cause
    return error


def test_failure_without_circumstances_stays() -> None:
    """No allowance applies to a target that is simply wrong."""
    assert find_allowance(Failure("3", "4"), circumstances(call())) is None


# A limit of concurrent streams ------------------------------------------------------------------------------------


def test_reported_limit_of_streams_is_a_warning() -> None:
    """The wire client says that it waited for a free stream; a test may wrap that in another error."""
    reported = ConcurrencyLimited("room for a stream", "SETTINGS_MAX_CONCURRENT_STREAMS is 1")
    assert find_allowance(reported, circumstances(serves=False)) is reported
    assert find_allowance(chained(Failure("3", "4"), reported), circumstances()) is reported
    assert find_allowance(chained(AssertionError(), reported), circumstances()) is reported


def test_timeout_beside_as_many_calls_as_the_limit_allows_is_a_warning() -> None:
    """The library client queues a call beyond the limit without a word."""
    stuck = call(1.0, 3.0)
    allowance = find_allowance(timed_out(stuck), circumstances(call(0.0), call(2.0, 4.0), stuck, limit=2))
    assert isinstance(allowance, ConcurrencyLimited)
    assert (allowance.expected, allowance.stream) == ("a response", stuck)
    assert allowance.actual == "nothing arrived; SETTINGS_MAX_CONCURRENT_STREAMS is 2, and 2 other calls were open"


@pytest.mark.parametrize("limit", [3, 0, None, 100], ids=["higher", "zero", "none", "advised"])
def test_timeout_below_the_limit_stays_a_failure(limit: int | None) -> None:
    """Neither no calls at all nor as many as RFC 9113 advises is the limit of a correct server that is in the way."""
    stuck = call(1.0)
    others = [call(0.0) for _ in range(2 if limit != 100 else 200)]
    assert find_allowance(timed_out(stuck), circumstances(*others, stuck, limit=lambda: limit)) is None


def test_calls_that_were_over_before_do_not_count() -> None:
    """A call counts if it was open at any time at which the one that timed out was open."""
    stuck = call(1.0, 3.0)
    others = (call(0.0, 0.9), call(3.1), call(0.0, 1.1))
    assert find_allowance(timed_out(stuck), circumstances(*others, stuck, limit=2)) is None
    assert find_allowance(timed_out(stuck), circumstances(*others, stuck, limit=1)) is not None


def test_server_is_not_asked_for_its_limit_without_need() -> None:
    """The question opens a connection; a call that was alone, and an error that is not a timeout, need none."""

    def ask() -> int:
        raise AssertionError("it was asked")

    alone = call()
    assert find_allowance(timed_out(alone), circumstances(alone, limit=ask)) is None
    assert find_allowance(timed_out(None), circumstances(call(), call(), limit=ask)) is None
    assert find_allowance(Failure("3", "4"), circumstances(call(), call(), limit=ask)) is None


# Graceful shutdown and throttling ---------------------------------------------------------------------------------


def test_call_that_was_not_processed_makes_a_failure_a_warning() -> None:
    """The server shut down gracefully; the warning shows the call that can be retried."""
    lost = call(not_processed="GOAWAY named stream 1")
    allowance = find_allowance(Failure("3", "4"), circumstances(call(), lost))
    assert isinstance(allowance, NotProcessed)
    assert (allowance.expected, allowance.stream) == ("3", lost)
    assert allowance.actual == "4; a call was not processed and can be retried: GOAWAY named stream 1"


def test_throttled_test_is_a_warning() -> None:
    """The server may treat many resets as an attack."""
    allowance = find_allowance(Failure("3", "4"), circumstances(calm="GOAWAY after 100 resets"))
    assert isinstance(allowance, EnhanceYourCalm)
    assert allowance.actual == "4; the server throttled the test (ENHANCE_YOUR_CALM): GOAWAY after 100 resets"


def test_graceful_shutdown_comes_before_throttling() -> None:
    """A server that does both says by the first that the call can be retried."""
    lost = call(not_processed="GOAWAY named stream 1")
    assert isinstance(find_allowance(Failure("3", "4"), circumstances(lost, calm="GOAWAY")), NotProcessed)


def test_target_that_serves_nothing_has_no_allowance() -> None:
    """A server that shuts down before every call is not correct."""
    lost = circumstances(call(not_processed="GOAWAY"), calm="GOAWAY", serves=False)
    assert find_allowance(Failure("3", "4"), lost) is None


def test_error_in_a_test_itself_has_no_allowance() -> None:
    """Only a mismatch says something about the target."""
    assert find_allowance(ZeroDivisionError(), circumstances(call(not_processed="GOAWAY"), calm="GOAWAY")) is None
    assert find_allowance(TargetDied("3", "4"), circumstances(calm="GOAWAY")) is not None
