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
from pytest_grpcstream.escape import one_line, printable
from pytest_grpcstream.values import Code, Status
from pytest_grpcstream.wire.codes import ErrorCode
from pytest_grpcstream.wire.frame_reader import FrameReader
from pytest_grpcstream.wire.frames import FrameType
from pytest_grpcstream.wire.rules import Fault
from pytest_grpcstream.wire.transport import Transport

_READS: Final = 16
"""Reads in a row before the thread looks at anything else."""


class Waker:
    """Wakes a thread that waits in a selector."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)

    def wake(self) -> None:
        """Let the thread look around."""
        with contextlib.suppress(OSError):  # full of calls that were not taken yet, or the thread has ended
            self._far.send(b"!")

    def calm(self) -> None:
        """Take the calls that have come."""
        with contextlib.suppress(BlockingIOError):
            while self._near.recv(4096):
                pass

    def fileno(self) -> int:
        """The file descriptor that becomes readable."""
        return self._near.fileno()

    def close(self) -> None:
        """Give the sockets back, once the thread has ended."""
        self._near.close()
        self._far.close()


class Loop:
    """Runs one connection in a thread of its own until it is stopped or the connection is lost.

    Attributes:
        crash: what ended the thread if that was a mistake of this client; None otherwise.
    """

    def __init__(
        self, core: ConnectionState, transport: Transport, reader: FrameReader, outbound: Outbound, waker: Waker
    ) -> None:
        self._core = core
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

    def add_deadline(self, when: float, stream_id: int) -> None:
        """End the RPC on a stream at a time of `time.monotonic`. Called under the lock."""
        heapq.heappush(self._deadlines, (when, stream_id))
        if self._deadlines[0][0] == when:
            self._waker.wake()

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._waker, selectors.EVENT_READ)
                events = selectors.EVENT_READ
                selector.register(self._transport, events)
                while not self._stopping and self._core.closed is None:
                    with self._core.changed:
                        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._core.outlet.waiting else 0)
                        pause = self._pause()
                    if wanted != events:
                        selector.modify(self._transport, wanted)
                        events = wanted
                    self._turn(selector.select(pause))
            with self._core.changed:
                if self._core.closed is not None:  # RFC 9113, section 5.4.1: the TCP connection must be closed too
                    self._transport.drop()
        except BaseException as error:
            self.crash = error
            with self._core.changed:
                self._core.lose(f"this client failed: {one_line(repr(error))}", by_server=False)
            raise

    def _pause(self) -> float | None:
        if not self._deadlines:
            return None
        return max(0.0, self._deadlines[0][0] - time.monotonic())

    def _turn(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, mask in ready:
            if key.fileobj is self._waker:
                self._waker.calm()
                continue
            if mask & selectors.EVENT_WRITE:
                self._send()
            if mask & selectors.EVENT_READ:
                self._receive()
        if self._deadlines:
            self._expire()

    def _send(self) -> None:
        with self._core.changed:
            self._core.outlet.flush()
            self._outbound.pump_all()
            self._core.changed.notify_all()

    # Receiving --------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        tls = self._transport.tls is not None
        for _ in range(_READS):
            # Only TLS needs the lock here: its reading and writing share state.
            with self._core.changed if tls else contextlib.nullcontext():
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
            self._core.changed.give_way()
            if self._core.closed is not None or (not tls and len(chunk) < 4096):
                return

    def _take(self, chunk: bytes) -> None:
        core = self._core
        at = time.monotonic()
        with core.changed:
            core.byte_log.add(False, chunk, at)
            core.outlet.cork()
            try:
                self._reader.feed(chunk, at)
                self._outbound.pump_all()
            except Fault as fault:
                self._give_up(fault, chunk)
            finally:
                core.outlet.uncork()
                # The buffer was full while it was held back; what it had no room for would wait for ever otherwise.
                self._outbound.pump_all()
                core.changed.notify_all()

    def _give_up(self, fault: Fault, chunk: bytes) -> None:
        core = self._core
        exchange = core.find(fault.stream_id) if fault.stream_id else None
        if exchange is None:
            core.report(fault.rule, fault.detail, fault.stream_id)
        else:
            exchange.report(fault.rule, fault.detail)
        debug = fault.rule.words.encode()
        payload = bytes(4) + int(fault.code).to_bytes(4, "big") + debug
        core.emit(FrameType.GOAWAY, 0, 0, payload, (0, int(fault.code), debug))
        core.outlet.flush(force=True)
        core.lose(_speaks(chunk) or f"this client closed it: {one_line(str(fault))}", by_server=False)

    def _lose(self, reason: str) -> None:
        with self._core.changed:
            if self._reader.unfinished:
                reason += f" in the middle of a frame, after {self._reader.unfinished} bytes of it"
            self._core.lose(reason, by_server=True)

    # Deadlines --------------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        with self._core.changed:
            now = time.monotonic()
            while self._deadlines and self._deadlines[0][0] <= now:
                _, stream_id = heapq.heappop(self._deadlines)
                exchange = self._core.exchanges.get(stream_id)
                if exchange is None or exchange.reception.ended is not None:
                    continue
                # gRPC over HTTP2, Client Cancellation: an expired deadline is a cancellation by the client.
                status = Status(Code.DEADLINE_EXCEEDED, "the deadline passed")
                exchange.reception.stop(status, Origin.CLIENT_DEADLINE, now)
                if not exchange.over:
                    self._core.reset(exchange, ErrorCode.CANCEL)
                self._core.changed.notify_all()


def _speaks(chunk: bytes) -> str:
    """What a server speaks that does not speak HTTP/2, as far as the bytes with the first fault tell."""
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
