"""The thread of a connection: it reads, sends what had to wait, and ends RPCs whose deadline has passed."""

from __future__ import annotations

import contextlib
import heapq
import selectors
import socket
import ssl
import threading
import time
from typing import Final

from pytest_grpcstream.clients.wire.ends import Origin
from pytest_grpcstream.clients.wire.outbound import Outbound
from pytest_grpcstream.clients.wire.state import ConnectionState
from pytest_grpcstream.clients.wire.stream_state import StreamState
from pytest_grpcstream.escape import one_line, printable
from pytest_grpcstream.values import Code, Status
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.frame_reader import FrameReader
from pytest_grpcstream.wire.rules import Fault
from pytest_grpcstream.wire.transport import Transport

_READS: Final = 16
"""Reads in a row before the thread does anything else."""


class Waker:
    """Wakes a thread that waits in a selector."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)

    def wake(self) -> None:
        """Wake the thread."""
        with contextlib.suppress(OSError):  # full of calls that were not taken yet, or closed
            self._far.send(b"!")

    def drain(self) -> None:
        """Take every call that has come."""
        with contextlib.suppress(BlockingIOError):
            while self._near.recv(4096):
                pass

    def fileno(self) -> int:
        """The file descriptor that becomes readable."""
        return self._near.fileno()

    def close(self) -> None:
        """Close the sockets, once the thread has ended."""
        self._near.close()
        self._far.close()


class Loop:
    """Runs one connection in a thread of its own until it is stopped or the connection is lost.

    Attributes:
        crash: the exception that ended the thread: a bug of this client; None otherwise.
    """

    def __init__(
        self, state: ConnectionState, transport: Transport, reader: FrameReader, outbound: Outbound, waker: Waker
    ) -> None:
        self._state = state
        self._transport = transport
        self._reader = reader
        self._outbound = outbound
        self._waker = waker
        self._stopping = False
        self._deadlines: list[tuple[float, int]] = []
        self.crash: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="grpcstream-wire", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it; it does not touch the socket afterwards."""
        self._stopping = True
        self._waker.wake()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def add_deadline(self, stream: StreamState, when: float) -> None:
        """End the RPC on a stream at a time of `time.monotonic`. Called under the lock of the connection."""
        stream.set_deadline(when)
        heapq.heappush(self._deadlines, (when, stream.id))
        if self._deadlines[0][0] == when:
            self._waker.wake()

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._waker, selectors.EVENT_READ)
                events = selectors.EVENT_READ
                selector.register(self._transport, events)
                while not self._stopping and self._state.closed is None:
                    with self._state.changed:
                        wanted = selectors.EVENT_READ
                        if self._state.send_buffer.waiting:
                            wanted |= selectors.EVENT_WRITE
                        pause = self._pause()
                    if wanted != events:
                        selector.modify(self._transport, wanted)
                        events = wanted
                    self._handle(selector.select(pause))
            with self._state.changed:
                if self._state.closed is not None:  # RFC 9113, section 5.4.1: the TCP connection must be closed too
                    self._transport.drop()
        except BaseException as error:
            self.crash = error
            with self._state.changed:
                self._state.lose(f"this client failed: {one_line(repr(error))}", by_server=False)
            raise

    def _pause(self) -> float | None:
        if not self._deadlines:
            return None
        return max(0.0, self._deadlines[0][0] - time.monotonic())

    def _handle(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, mask in ready:
            if key.fileobj is self._waker:
                self._waker.drain()
                continue
            if mask & selectors.EVENT_WRITE:
                self._send()
            if mask & selectors.EVENT_READ:
                self._receive()
        if self._deadlines:
            self._expire()

    def _send(self) -> None:
        with self._state.changed:
            self._state.send_buffer.flush()
            self._outbound.pump_all()
            self._state.changed.notify_all()

    # Receiving --------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        tls = self._transport.tls is not None
        for _ in range(_READS):
            # Only TLS needs the lock here: its reading and writing share state.
            with self._state.changed if tls else contextlib.nullcontext():
                try:
                    chunk = self._transport.recv()
                except OSError as error:
                    self._lose(_reason(error))
                    return
            if chunk is None or self._stopping:
                return
            if not chunk:
                self._lose("the server closed the connection")
                return
            self._take(chunk)
            self._state.changed.give_way()
            if self._state.closed is not None or (not tls and len(chunk) < 4096):
                return

    def _take(self, chunk: bytes) -> None:
        state = self._state
        at = time.monotonic()
        with state.changed:
            state.byte_log.add(False, chunk, at)
            state.send_buffer.cork()
            try:
                self._reader.feed(chunk, at)
                self._outbound.pump_all()
            except Fault as fault:
                self._give_up(fault, chunk)
            finally:
                state.send_buffer.uncork()
                # The corked buffer was full; what it had no room for would otherwise wait for ever.
                self._outbound.pump_all()
                state.changed.notify_all()

    def _give_up(self, fault: Fault, chunk: bytes) -> None:
        state = self._state
        stream = state.streams.find(fault.stream_id) if fault.stream_id else None
        if stream is None:
            state.report(fault.rule, fault.detail, fault.stream_id)
        else:
            stream.report(fault.rule, fault.detail)
        state.send_goaway(fault.code, debug=fault.rule.words.encode())
        state.send_buffer.flush(force=True)
        state.lose(_other_protocol(chunk) or f"this client closed it: {one_line(str(fault))}", by_server=False)

    def _lose(self, reason: str) -> None:
        with self._state.changed:
            if self._reader.unfinished:
                reason += f" in the middle of a frame, after {self._reader.unfinished} bytes of it"
            self._state.lose(reason, by_server=True)

    # Deadlines --------------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        with self._state.changed:
            now = time.monotonic()
            while self._deadlines and self._deadlines[0][0] <= now:
                _, stream_id = heapq.heappop(self._deadlines)
                stream = self._state.streams.get(stream_id)
                if stream is None or stream.response.ended is not None:
                    continue
                # gRPC over HTTP2, Client Cancellation: an expired deadline is a cancellation by the client.
                status = Status(Code.DEADLINE_EXCEEDED, "the deadline passed")
                stream.response.stop(status, Origin.CLIENT_DEADLINE, now)
                if not stream.over:
                    self._state.reset(stream, ErrorCode.CANCEL)
                self._state.changed.notify_all()


def _other_protocol(chunk: bytes) -> str:
    """The protocol of a server that does not speak HTTP/2, as far as the bytes with the first fault show it."""
    if chunk.startswith(b"HTTP/1."):
        return f"the server speaks HTTP/1: it answered {printable(chunk.splitlines()[0])}"
    if chunk[:1] in (b"\x15", b"\x16") and chunk[1:2] == b"\x03":  # an alert or a handshake record
        return "the server speaks TLS"
    return ""


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionResetError):
        return "the server reset the connection"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {one_line(error.reason or str(error))}"
    return f"reading failed: {one_line(error.strerror or str(error))}"
