"""The wire client: the stream interface over HTTP/2 frames, each of which a test can control."""

from __future__ import annotations

from pytest_grpcstream.clients.wire.client import WireClient
from pytest_grpcstream.clients.wire.connection import Connection
from pytest_grpcstream.clients.wire.ends import Origin, WireEnded
from pytest_grpcstream.clients.wire.framing import framed
from pytest_grpcstream.clients.wire.options import WireOptions
from pytest_grpcstream.clients.wire.outbound import Shape
from pytest_grpcstream.clients.wire.response import Response
from pytest_grpcstream.clients.wire.state import Closed, Goaway
from pytest_grpcstream.clients.wire.stream import WireStream
from pytest_grpcstream.wire import chunking
from pytest_grpcstream.wire.byte_log import ByteLog, Chunk
from pytest_grpcstream.wire.chunking import Chunking
from pytest_grpcstream.wire.codes import ErrorCode, SettingCode
from pytest_grpcstream.wire.dialing import client_context, server_name
from pytest_grpcstream.wire.fields import Headers, timeout_text
from pytest_grpcstream.wire.frames import Flag, FrameType, Priority
from pytest_grpcstream.wire.records import FrameRecord, Part, WireTimeline
from pytest_grpcstream.wire.rules import Rule, Violation, Violations

__all__ = [
    "ByteLog",
    "Chunk",
    "Chunking",
    "Closed",
    "Connection",
    "ErrorCode",
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
    "SettingCode",
    "Shape",
    "Violation",
    "Violations",
    "WireClient",
    "WireEnded",
    "WireOptions",
    "WireStream",
    "WireTimeline",
    "chunking",
    "client_context",
    "framed",
    "server_name",
    "timeout_text",
]
