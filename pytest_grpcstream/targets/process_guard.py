"""Runs a command and kills its process group when the guard's standard input closes.

A program, started as ``python process_guard.py GRACE COMMAND...``. Its standard input is a pipe from the process that
started it. However that process ends, by Ctrl-C, SIGKILL or a crash, the pipe closes and no process is left behind. The
guard imports little, because one runs beside every launched target.
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
"""The exit code if the command could not be started; shells use it too."""


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # The group has ended (macOS reports EPERM for a group of zombies).
        return


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code, or 128 + the number of the signal that killed it.

    Arguments:
        arguments: The seconds between SIGTERM and SIGKILL, then the command.
    """
    grace = float(arguments[0])
    # Only the end of the pipe counts. The signals are handled, not ignored: the child would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    exited, on_exit = os.pipe()
    os.set_inheritable(on_exit, False)
    try:
        child = subprocess.Popen(
            arguments[1:], stdin=subprocess.DEVNULL, start_new_session=True, close_fds=False, restore_signals=True
        )
    except OSError as error:
        print(f"cannot start {arguments[1]!r}: {error.strerror}", file=sys.stderr)
        return NOT_STARTED

    def reap() -> None:
        child.wait()
        os.close(on_exit)

    threading.Thread(target=reap, daemon=True).start()
    ready, _, _ = select.select([0, exited], [], [])
    if exited not in ready:
        _signal_group(child.pid, signal.SIGTERM)
        select.select([exited], [], [], grace)
    # The rest of the group: a leader that ignored SIGTERM, or children that outlived their leader.
    _signal_group(child.pid, signal.SIGKILL)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
