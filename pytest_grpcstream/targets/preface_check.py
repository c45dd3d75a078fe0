"""Checks that an HTTP/2 server listens at an address: sends the connection preface over a plaintext socket."""

from __future__ import annotations

import time
from typing import Final

from pytest_grpcstream.errors import TargetError
from pytest_grpcstream.escape import printable
from pytest_grpcstream.wire.sockets import connect

# RFC 9113, section 3.4: the client connection preface is this text and a SETTINGS frame, here an empty one.
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS: Final = 4


def check_preface(address: str, timeout: float) -> None:
    """Check that a plaintext HTTP/2 server answers at an address.

    Arguments:
        timeout: Seconds that connecting and the answer may take together.

    Raises:
        TargetError: Nothing listens at the address, or what listens does not speak plaintext HTTP/2.
    """
    due = time.monotonic() + timeout
    try:
        channel = connect(address, timeout)
    except OSError as error:
        raise TargetError(f"nothing answers at {address}: {error.strerror or error}") from None
    with channel:
        received = b""
        try:
            channel.sendall(_PREFACE)
            while len(received) < 9:
                channel.settimeout(max(0.01, due - time.monotonic()))
                data = channel.recv(4096)
                if not data:
                    break
                received += data
        except TimeoutError:
            _raise_if_recognised(address, received)
            raise TargetError(
                f"{address} accepts connections but answered the HTTP/2 connection preface with "
                f"{f'only {printable(received)}' if received else 'nothing'} within {timeout:g} s"
            ) from None
        except OSError as error:
            if not received:
                raise TargetError(f"{address} dropped the HTTP/2 connection preface: {error.strerror}") from None
    _check_answer(address, received)


def _raise_if_recognised(address: str, received: bytes) -> None:
    """Raise an error that names the protocol, if it is one that often listens instead of plaintext HTTP/2."""
    if received.startswith(b"HTTP/1."):
        answer = printable(received.splitlines()[0])
        raise TargetError(f"{address} speaks HTTP/1, not HTTP/2: it answered {answer}") from None
    if received[:1] in (b"\x15", b"\x16") and received[1:2] == b"\x03":
        raise TargetError(f"{address} speaks TLS, but was called in plaintext: use --grpcstream-tls") from None


def _check_answer(address: str, received: bytes) -> None:
    _raise_if_recognised(address, received)
    if not received:
        raise TargetError(f"{address} closed the connection after the HTTP/2 connection preface")
    # RFC 9113, section 3.4: the server connection preface is a SETTINGS frame, which must come first.
    if len(received) < 9 or received[3] != _SETTINGS or received[5:9] != bytes(4):
        raise TargetError(f"{address} does not speak HTTP/2: it answered {printable(received, 60)}")
