"""Runs a proxy in the foreground, in front of a gRPC server: ``python run.py nginx --port 8080 --upstream HOST:PORT``.

Without ``--upstream`` the bundled reference server is started as the upstream server. The proxy writes its files to a
temporary folder. SIGTERM and SIGINT end the proxy and the reference. An exit code of 127 means that the program of the
proxy, or the reference, is not installed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

CONFIGURATIONS: Final = Path(__file__).parent / "configurations"
NOT_INSTALLED: Final = 127
"""The exit code for a missing program, as in shells."""
GRACE: Final = 2.0
"""Seconds between SIGTERM and SIGKILL."""
APACHE_MODULES: Final = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules")


@dataclass(frozen=True)
class Proxy:
    """How a proxy is started.

    Attributes:
        programs: names of its program; the first that is installed is used.
        configuration: the template of its configuration.
        arguments: the program's arguments for a configuration file.
        stack: its name, with ``{version}`` for its version.
        version: the arguments with which it prints its version.
        environment: additional environment variables for its temporary folder.
    """

    programs: tuple[str, ...]
    configuration: str
    arguments: Callable[[str], list[str]]
    stack: str
    version: tuple[str, ...]
    environment: Callable[[str], dict[str, str]] = field(default=lambda _folder: {})


def _nginx(configuration: str) -> Proxy:
    return Proxy(("nginx",), configuration, lambda file: ["-c", file, "-e", "stderr"], "nginx {version}", ("-v",))


def _haproxy(configuration: str) -> Proxy:
    return Proxy(("haproxy",), configuration, lambda file: ["-db", "-f", file], "HAProxy {version}", ("-v",))


def _caddy(configuration: str) -> Proxy:
    return Proxy(
        ("caddy",),
        configuration,
        lambda file: ["run", "--adapter", "caddyfile", "--config", file],
        "Caddy {version}",
        ("build-info",),
        lambda folder: {"HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder},
    )


PROXIES: Final = {
    "nginx": _nginx("nginx.conf"),
    "haproxy": _haproxy("haproxy.cfg"),
    "envoy": Proxy(
        ("envoy",),
        "envoy.yaml",
        lambda file: ["-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"],
        "Envoy {version}",
        ("--version",),
    ),
    "nghttpx": Proxy(
        ("nghttpx",), "nghttpx.conf", lambda file: [f"--conf={file}"], "nghttpx {version}", ("--version",)
    ),
    "apache": Proxy(
        ("apache2", "httpd"),
        "apache.conf",
        lambda file: ["-D", "FOREGROUND", "-f", file],
        "Apache httpd {version}",
        ("-v",),
    ),
    "caddy": _caddy("caddy.Caddyfile"),
    "nginx-proxy-pass": _nginx("nginx-proxy-pass.conf"),
    "haproxy-no-h2": _haproxy("haproxy-no-h2.cfg"),
    "caddy-host-name": _caddy("caddy-host-name.Caddyfile"),
}


class NotInstalledError(Exception):
    """Raised when a needed program is not on this machine."""


class _Terminated(Exception):
    """Raised by a signal that asks the program to end."""


def main(arguments: list[str] | None = None) -> int:
    """Run a proxy until it ends or a signal comes, and return the exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _terminate)
    try:
        with contextlib.ExitStack() as stack:
            path = program(PROXIES[options.name])
            upstream = options.upstream or stack.enter_context(_reference())
            # The workers of some proxies run as another user and must reach their folders in it.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{options.name}-")))
            folder.chmod(0o711)
            return stack.enter_context(_proxy(options.name, path, options.port, upstream, folder)).wait()
    except NotInstalledError as error:
        print(error, file=sys.stderr)
        return NOT_INSTALLED
    except _Terminated:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py", description="Run a proxy in front of a gRPC server")
    parser.add_argument("name", choices=PROXIES, help="Proxy and configuration: %(choices)s", metavar="NAME")
    parser.add_argument("--port", type=int, required=True, help="Port of 127.0.0.1 on which the proxy listens")
    parser.add_argument(
        "--upstream", type=_address, metavar="HOST:PORT", help="Upstream server (default: starts the reference)"
    )
    return parser


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return text


def _terminate(_number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the cleanup after the first.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise _Terminated


def program(proxy: Proxy) -> str:
    """The path of its program.

    Raises:
        NotInstalledError: none of its programs is installed.
    """
    # Debian installs servers in folders that are only in the PATH of root.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
    for name in proxy.programs:
        if found := shutil.which(name, path=path):
            return found
    raise NotInstalledError(f"{' or '.join(proxy.programs)} is not installed or not in the PATH")


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _reference() -> Iterator[str]:
    """Start the reference server and yield its address."""
    command = [sys.executable, "-m", "pytest_grpcstream.reference_impl", "--address", "127.0.0.1:0", "--grace", "0"]
    with _ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as server:
        # Its first line: "StreamService on 127.0.0.1:50051, ..."
        line = server.stdout.readline() if server.stdout else ""
        if not line:
            raise NotInstalledError(f"cannot start the reference server with {sys.executable}: use --upstream")
        yield line.split()[2].rstrip(",")


@contextlib.contextmanager
def _proxy(name: str, program: str, port: int, upstream: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    proxy = PROXIES[name]
    host, _, upstream_port = upstream.rpartition(":")
    values = {
        "@FOLDER@": str(folder),
        "@MODULES@": next((path for path in APACHE_MODULES if os.path.isdir(path)), ""),
        "@PORT@": str(port),
        "@UPSTREAM@": upstream,
        "@UPSTREAM_HOST@": host.strip("[]"),
        "@UPSTREAM_PORT@": upstream_port,
    }
    text = (CONFIGURATIONS / proxy.configuration).read_text(encoding="utf-8")
    for marker, value in values.items():
        text = text.replace(marker, value)
    file = folder / proxy.configuration
    file.write_text(text, encoding="utf-8")
    command = [program, *proxy.arguments(str(file))]
    environment = {**os.environ, **proxy.environment(str(folder))}
    with _ended(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, text=True)) as process:
        yield process


if __name__ == "__main__":
    raise SystemExit(main())
