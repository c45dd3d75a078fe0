"""Servers that crash: they are correct until a client does what the contract says they must survive."""

from __future__ import annotations

import os
from collections.abc import Iterator

import grpc

from pytest_grpcstream.messages import StreamPoint, StreamRequest, StreamResponse
from servers.calls import Call
from servers.correct import Correct


class ExitsWithoutPoint(Correct):
    """The process exits on a request without a point, as a nil dereference does in other languages."""

    def point(self, call: Call, request: StreamRequest) -> StreamPoint:
        """The point of a request."""
        if not request.HasField("pt"):
            os._exit(2)
        return super().point(call, request)


class ExitsOnCancel(Correct):
    """The process exits when a Route ends because the client went away."""

    def Route(self, requests: Iterator[StreamRequest], context: grpc.ServicerContext) -> Iterator[StreamResponse]:
        """Bidirectional streaming."""
        call = self.begin(context, "Route")
        call.mark("")  # so that the end of the requests is distinguished from a cancel
        context.add_callback(lambda: None if call.settled else os._exit(3))
        yield from self.route_responses(call, self.points(call, requests))
        call.settle()
