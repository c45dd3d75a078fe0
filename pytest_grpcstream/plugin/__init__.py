"""The entry point: options, ini options, markers and the hooks that start the suite. It imports nothing heavy."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import pytest

from pytest_grpcstream.capabilities import FEATURES
from pytest_grpcstream.errors import SettingError
from pytest_grpcstream.plugin.fixtures import (
    _grpcstream_keeper,
    _grpcstream_kept,
    _grpcstream_known,
    grpcstream,
    grpcstream_capabilities,
    grpcstream_channel,
    grpcstream_client,
    grpcstream_connect,
    grpcstream_observe,
    grpcstream_quiet,
    grpcstream_serve,
    grpcstream_target,
    grpcstream_wire,
)
from pytest_grpcstream.plugin.requirement_marker import MARKER_LINE
from pytest_grpcstream.plugin.session import Run
from pytest_grpcstream.plugin.suite import SuitePlugin
from pytest_grpcstream.plugin.terminal import SummaryPlugin
from pytest_grpcstream.plugin.verdicts import JudgementPlugin
from pytest_grpcstream.settings import FORMS, QUIET, STARTUP, TIMEOUT, read_settings

# The fixtures become pytest's by standing in this module.
__all__ = [
    "_grpcstream_keeper",
    "_grpcstream_kept",
    "_grpcstream_known",
    "grpcstream",
    "grpcstream_capabilities",
    "grpcstream_channel",
    "grpcstream_client",
    "grpcstream_connect",
    "grpcstream_observe",
    "grpcstream_quiet",
    "grpcstream_serve",
    "grpcstream_target",
    "grpcstream_wire",
]

SUITE: Final = "pytest_grpcstream.conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; each has an ini option, and most an environment variable GRPCSTREAM_NAME."""
    group = parser.getgroup("grpcstream", "conformance of gRPC streams")
    texts = {
        "target": (
            "TARGET",
            f"Run the conformance suite against {FORMS}",
        ),
        "features": (
            "LIST",
            f"Features that the target has, in place of finding out: all, none, or some of {','.join(FEATURES)}",
        ),
        "client": (
            "CLIENT",
            "Client that the suite runs over: library (grpcio), wire (HTTP/2 frames) or both (default)",
        ),
        "timeout": ("SECONDS", f"Time that one operation on a stream may take (default {TIMEOUT:g})"),
        "quiet": ("SECONDS", f"Silence after which nothing more is expected (default {QUIET:g})"),
        "ca": ("FILE", "Authorities to trust, in PEM; without it those of the system"),
        "cert": ("FILE", "Certificate of the client, in PEM, for mutual TLS"),
        "key": ("FILE", "Key of that certificate, in PEM; without it, it is in the file of the certificate"),
        "authority": ("NAME", "Authority of every request, and the name that the target's certificate must have"),
        "startup_timeout": ("SECONDS", f"Time that a target may take until it answers (default {STARTUP:g})"),
    }
    texts |= {
        "write_expect": ("FILE", "Write the failures of this run to a list for --grpcstream-expect; needs a full run"),
        "repeat": ("N", "Run each test of a requirement N times on the same target, and report k of N"),
        "direct": ("TARGET", "The target behind the target: run each test on both, and tell where they differ"),
        "report": ("DIR", "Folder for report.json, summary.md, badge.json, and the evidence of what failed"),
    }
    for name, (metavar, text) in texts.items():
        option = f"--grpcstream-{name.replace('_', '-')}"
        group.addoption(option, dest=f"grpcstream_{name}", metavar=metavar, default=None, help=text)
        kind = "Target that the fixtures use; it does not start the suite" if name == "target" else text
        parser.addini(f"grpcstream_{name}", kind, default="")
    group.addoption(
        "--grpcstream-list",
        dest="grpcstream_list",
        metavar="FILTER",
        nargs="?",
        const="",
        default=None,
        help="Print the requirements of the suite, or those that fit words such as EOF,error, and end; needs no target",
    )
    flags = {"strict": "Let warnings fail the run too", "tls": "Reach the target by TLS; it must select h2 by ALPN"}
    for name, text in flags.items():
        option = f"--grpcstream-{name}"
        group.addoption(option, dest=f"grpcstream_{name}", action="store_true", default=False, help=text)
        parser.addini(f"grpcstream_{name}", text, type="bool", default=False)
    expect = "List of expected failures in TOML, repeatable; what is listed must fail, and for the reason in the list"
    group.addoption("--grpcstream-expect", dest="grpcstream_expect", metavar="FILE", action="append", help=expect)
    parser.addini("grpcstream_expect", expect, type="linelist", default=[])
    metadata = "Metadata of every call, repeatable; $NAME stands for an environment variable, values are never shown"
    group.addoption(
        "--grpcstream-metadata", dest="grpcstream_metadata", metavar="KEY:VALUE", action="append", help=metadata
    )
    parser.addini("grpcstream_metadata", metadata, type="linelist", default=[])


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, Any, Any]:
    """Run the shipped suite when a target was given and no file was named.

    It is decided after the conftest files were read: before that, the value of an option of theirs looks like a path.
    """
    result = yield
    known = parser.parse_known_args(args)
    packages = known.file_or_dir if known.pyargs else []
    if known.grpcstream_target is not None and not known.file_or_dir and not known.pyargs:
        args += ["--pyargs", SUITE]
        packages = [SUITE]
    if any(name.startswith(SUITE) for name in packages):
        # A project's own python_files and python_functions must not hide the tests of the suite.
        early_config.addinivalue_line("python_files", "test_*.py")
        early_config.addinivalue_line("python_functions", "test_*")
    return result


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print the requirements, if that is all that was asked for."""
    if config.option.grpcstream_list is None:
        return None
    from pytest_grpcstream.requirements.listing import list_requirements

    try:
        lines = "\n".join(list_requirements(config.option.grpcstream_list))
    except SettingError as error:
        raise pytest.UsageError(str(error)) from None
    print(lines)  # noqa: T201 - like --markers and --fixtures, it is no run
    return pytest.ExitCode.OK


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, so that a wrong one ends the run before anything is collected."""
    config.addinivalue_line(
        "markers", "grpcstream(target): the target that this test, class or module calls, in place of the run's"
    )
    config.addinivalue_line(
        "markers",
        MARKER_LINE,
    )
    config.addinivalue_line(
        "markers",
        "grpcstream_stress: a test of the suite that floods the target or takes long; it runs only if -m names this "
        "marker, such as -m grpcstream_stress",
    )
    config.addinivalue_line("markers", "stress: the short name of grpcstream_stress on tests of the suite")
    try:
        run = config.stash[Run.KEY] = Run(read_settings(config))
        if run.settings.expect:
            run.expectations  # noqa: B018 - read now, so that a mistake in a list ends the run before it begins
    except SettingError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(SuitePlugin(run), "grpcstream-suite")
    config.pluginmanager.register(JudgementPlugin(run), "grpcstream-judgement")
    config.pluginmanager.register(summary := SummaryPlugin(run), "grpcstream-summary")
    if run.settings.repeat > 1 or run.settings.direct is not None:
        from pytest_grpcstream.plugin.reruns import TurnsPlugin

        config.pluginmanager.register(TurnsPlugin(run), "grpcstream-turns")
    if run.settings.write_expect is not None:
        from pytest_grpcstream.plugin.expectation_writer import ExpectationWriter

        config.pluginmanager.register(ExpectationWriter(run.settings.write_expect, run, summary), "grpcstream-writer")
    if run.settings.report is not None:
        from pytest_grpcstream.plugin.report_hooks import register

        register(config, run.settings.report, run, summary)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what a run that broke off has started."""
    if (run := config.stash.get(Run.KEY, None)) is not None:
        run.close()


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what the run is pointed at."""
    settings = Run.of(config).settings
    if settings.target is None:
        return None
    return f"grpcstream: target {settings.target} (from {settings.target_source})"
