"""A program to launch: it does what its arguments say, and imports nothing that would slow down its start.

It serves only the beginning of HTTP/2, which is all that the launcher checks.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The server's connection preface: an empty SETTINGS frame (RFC 9113, section 3.4)."""
SPOKEN = {
    "http2": SETTINGS,
    "http1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "other": b"220 mail.example.test ESMTP\r\n",
    "nothing": b"",
}


def answer(channel: socket.socket, greeting: bytes) -> None:
    """Send the greeting and read until the client closes the connection."""
    with channel:
        channel.sendall(greeting)
        while channel.recv(4096):
            continue


def listen(port: int, greeting: bytes) -> None:
    """Serve until the process ends."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            channel, _ = listener.accept()
            threading.Thread(target=answer, args=(channel, greeting), daemon=True).start()


def exit_on_signal(witness: socket.socket) -> None:
    """Exit, from any thread, when the witness signals."""
    witness.recv(1)
    os._exit(5)


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--witness", type=int, help="a port to stay connected to while this process lives")
    parser.add_argument("--child", action="store_true", help="start another process that does the same and waits")
    parser.add_argument("--until-signalled", action="store_true", help="exit with code 5 when the witness signals")
    parser.add_argument("--say", default="", help="text to print")
    parser.add_argument("--speak", choices=SPOKEN, default="http2", help="the answer to a connection")
    parser.add_argument("--exit", type=int, help="exit at once with this code")
    parser.add_argument("--die-of", type=int, help="die of this signal at once")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--never-listen", action="store_true")
    given = parser.parse_args()

    if given.say:
        print(given.say)
        print("and this on standard error", file=sys.stderr)
    if given.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if given.exit is not None:
        sys.exit(given.exit)
    if given.die_of is not None:
        signal.raise_signal(given.die_of)
    witness = socket.create_connection(("127.0.0.1", given.witness)) if given.witness else None
    if given.child:
        remaining = [argument for argument in sys.argv if argument not in ("--child", "--until-signalled")]
        subprocess.Popen([sys.executable, "-S", *remaining, "--never-listen"])
    if given.until_signalled:
        threading.Thread(target=exit_on_signal, args=(witness,), daemon=True).start()
    if given.never_listen:
        threading.Event().wait()
    try:
        listen(given.port, SPOKEN[given.speak])
    finally:
        if witness is not None:
            witness.close()


if __name__ == "__main__":
    main()
