"""Runs a command and ends it, with its whole process group, when the guard's standard input closes.

A program of its own, started as ``python guard.py GRACE COMMAND...``. Its standard input is a pipe from the process
that started it, so however that process ends, by Ctrl-C, by SIGKILL or by a crash, nothing stays behind. It imports
little, because it runs beside every launched target.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from typing import Final

NOT_STARTED: Final = 127
"""The exit code when the command could not be started at all, as shells have it."""


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # The group is gone (macOS says EPERM for a group of zombies).
        return


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code, or 128 + the number of the signal that ended it.

    Arguments:
        arguments: the seconds between SIGTERM and SIGKILL, then the command.
    """
    grace = float(arguments[0])
    # Only the end of the pipe counts. These handlers do nothing; a signal that is ignored would be so in the child too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    exited, tell = os.pipe()
    os.set_inheritable(tell, False)
    try:
        child = subprocess.Popen(
            arguments[1:], stdin=subprocess.DEVNULL, start_new_session=True, close_fds=False, restore_signals=True
        )
    except OSError as error:
        print(f"cannot start {arguments[1]!r}: {error.strerror}", file=sys.stderr)
        return NOT_STARTED

    def reap() -> None:
        child.wait()
        os.close(tell)

    threading.Thread(target=reap, daemon=True).start()
    ready, _, _ = select.select([0, exited], [], [])
    if exited not in ready:
        _signal_group(child.pid, signal.SIGTERM)
        select.select([exited], [], [], grace)
    # What is left of the group: a leader that ignored SIGTERM, or children that outlived their leader.
    _signal_group(child.pid, signal.SIGKILL)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
