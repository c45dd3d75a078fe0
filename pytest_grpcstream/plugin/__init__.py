"""The entry point of pytest: the hooks that start a run, and the fixtures. It imports nothing heavy."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_grpcstream.errors import SettingError
from pytest_grpcstream.plugin.collection import SUITE_PACKAGE, CollectionPlugin, SelectionTransport
from pytest_grpcstream.plugin.fixtures import (
    _grpcstream_supervisor,
    _grpcstream_used,
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
from pytest_grpcstream.plugin.health import HealthPlugin
from pytest_grpcstream.plugin.markers import DECLARATIONS
from pytest_grpcstream.plugin.options import declare_options, read_settings
from pytest_grpcstream.plugin.reports import SerializationPlugin
from pytest_grpcstream.plugin.session import Run
from pytest_grpcstream.plugin.start import StartPlugin
from pytest_grpcstream.plugin.terminal import SummaryPlugin
from pytest_grpcstream.plugin.verdicts import VerdictPlugin

# The fixtures become pytest's by standing in this module.
__all__ = [
    "_grpcstream_supervisor",
    "_grpcstream_used",
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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; each has an ini option, and most an environment variable GRPCSTREAM_NAME."""
    declare_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, Any, Any]:
    """Run the shipped suite if a target was given and no file was named.

    This is decided after the conftest files were read: before that, the value of an option of theirs looks like a path.
    """
    result = yield
    known = parser.parse_known_args(args)
    packages = known.file_or_dir if known.pyargs else []
    if known.grpcstream_target is not None and not known.file_or_dir and not known.pyargs:
        args += ["--pyargs", SUITE_PACKAGE]
        packages = [SUITE_PACKAGE]
    if any(name.startswith(SUITE_PACKAGE) for name in packages):
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
    print(lines)  # noqa: T201 - like --markers and --fixtures, it is not a run
    return pytest.ExitCode.OK


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, so that a wrong one ends the run before anything is collected."""
    for declaration in DECLARATIONS:
        config.addinivalue_line("markers", declaration)
    try:
        run = config.stash[Run.KEY] = Run(read_settings(config))
        if run.settings.expect:
            run.expectations  # noqa: B018 - read now, so that a mistake in a list ends the run before it begins
    except SettingError as error:
        raise pytest.UsageError(str(error)) from None
    summary = SummaryPlugin(run)
    # Wrappers of the same hook run in the order of registration, the last one outermost.
    plugins: dict[str, object] = {
        "collection": CollectionPlugin(run),
        "selection": SelectionTransport(run),
        "start": StartPlugin(run),
        "health": HealthPlugin(run),
        "verdicts": VerdictPlugin(run),
        "serialization": SerializationPlugin(),
        "summary": summary,
    }
    if run.settings.repeat > 1 or run.settings.direct is not None:
        from pytest_grpcstream.plugin.reruns import RerunPlugin

        plugins["reruns"] = RerunPlugin(run)
    if run.settings.write_expect is not None:
        from pytest_grpcstream.plugin.expectation_writer import ExpectationWriter

        plugins["writer"] = ExpectationWriter(run.settings.write_expect, run, summary)
    for name, plugin in plugins.items():
        config.pluginmanager.register(plugin, f"grpcstream-{name}")
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
