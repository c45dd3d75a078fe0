"""The state of one RPC: whether it is over, and who ended it."""

from __future__ import annotations

import threading
from typing import Final

import grpc

_HALF_CLOSE_GRACE: Final = 0.1
"""Maximum seconds between the end of the requests and the report of a cancel: see `Call.requests_ended`."""


class Tokens:
    """The tokens of RPCs that ended because the client went away; the oldest are forgotten."""

    _LIMIT: Final = 10_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, None] = {}

    def add(self, token: str) -> None:
        """Remember a token."""
        with self._lock:
            self._tokens[token] = None
            if len(self._tokens) > self._LIMIT:
                del self._tokens[next(iter(self._tokens))]

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: str) -> bool:
        with self._lock:
            return token in self._tokens


class Call:
    """One RPC.

    Attributes:
        context: its grpcio context.
        method: ``List``, ``Record`` or ``Route``.
        gone: the tokens of RPCs that ended because the client went away.
        over: set when the RPC is over, ended by either side.
        settled: whether the server has ended it.
    """

    def __init__(self, context: grpc.ServicerContext, method: str, gone: Tokens) -> None:
        self.context = context
        self.method = method
        self.over = threading.Event()
        self.gone = gone
        self._lock = threading.Lock()
        self._marks: list[str] = []
        self.settled = False
        if not context.add_callback(self._terminated):
            self._terminated()

    def mark(self, token: str) -> None:
        """Remember ``token`` if this RPC ends because the client goes away."""
        with self._lock:
            self._marks.append(token)
            late = self.over.is_set() and self.went_away()
        if late:
            self.gone.add(token)

    def went_away(self) -> bool:
        """Whether this RPC, which is over, ended because the client went away."""
        return not self.settled

    def settle(self) -> None:
        """The server ends this RPC; what the client does from now on is not recorded."""
        with self._lock:
            self.settled = not self.over.is_set()

    def requests_ended(self) -> None:
        """The request iterator has ended.

        grpcio also ends it for a cancelled RPC, a moment before it reports the cancel. Whether it was a half-close only
        matters for marked RPCs, so only they wait for that report.
        """
        if self._marks:
            self.over.wait(_HALF_CLOSE_GRACE)

    def _terminated(self) -> None:
        with self._lock:
            self.over.set()
            marks = list(self._marks) if self.went_away() else []
        for token in marks:
            self.gone.add(token)
