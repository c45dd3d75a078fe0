"""The wire client: the stream interface over HTTP/2 frames, every one of them in the test's hands."""

from __future__ import annotations

from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from pytest_grpcstream.clients.wire import cuts
from pytest_grpcstream.clients.wire.client import WireClient
from pytest_grpcstream.clients.wire.connection import Connection
from pytest_grpcstream.clients.wire.core import Closed, Goaway
from pytest_grpcstream.clients.wire.ends import Origin, WireEnded
from pytest_grpcstream.clients.wire.fields import Headers, timeout_text
from pytest_grpcstream.clients.wire.frames import Flag, FrameType, Priority
from pytest_grpcstream.clients.wire.messages import framed
from pytest_grpcstream.clients.wire.options import WireOptions
from pytest_grpcstream.clients.wire.outbound import Shape
from pytest_grpcstream.clients.wire.reception import Response
from pytest_grpcstream.clients.wire.records import FrameRecord, Part, WireTimeline
from pytest_grpcstream.clients.wire.rules import Rule, Violation, Violations
from pytest_grpcstream.clients.wire.stream import WireStream
from pytest_grpcstream.clients.wire.tape import Chunk, Tape
from pytest_grpcstream.clients.wire.transport import client_context

__all__ = [
    "Chunk",
    "Closed",
    "Connection",
    "ErrorCodes",
    "Flag",
    "FrameRecord",
    "FrameType",
    "Goaway",
    "Headers",
    "Origin",
    "Part",
    "Priority",
    "Response",
    "Rule",
    "SettingCodes",
    "Shape",
    "Tape",
    "Violation",
    "Violations",
    "WireClient",
    "WireEnded",
    "WireOptions",
    "WireStream",
    "WireTimeline",
    "client_context",
    "cuts",
    "framed",
    "timeout_text",
]
