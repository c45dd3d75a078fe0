"""Selects the tests of requirements that run, over which clients, and in which order: mildest first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_grpcstream.plugin.markers import (
    REQUIREMENT,
    STRESS,
    client_of,
    is_requirement,
    requirement_id,
    requirement_of,
)
from pytest_grpcstream.plugin.requirement_marker import RequirementMarker
from pytest_grpcstream.plugin.session import Run, Selection
from pytest_grpcstream.settings import CLIENTS

SUITE_PACKAGE: Final = "pytest_grpcstream.conformance"
SUITE_FOLDER: Final = "pytest_grpcstream/conformance"
"""What the ids of the shipped tests begin with, wherever the package is installed."""
BACKSTOP: Final = 24
"""The time limit of one test, in time limits of one operation: pytest-timeout ends what nothing else does."""


def _suite_folder() -> Path:
    from pytest_grpcstream import conformance

    return Path(str(conformance.__file__)).parent


def _is_suite_module(path: Path) -> bool:
    if path.parent.name != "conformance" or not path.name.startswith("test_"):
        return False
    return path.parent == _suite_folder()


def _risk(item: pytest.Item) -> int:
    from pytest_grpcstream.requirements.registry import RISKS

    requirement = requirement_of(item)
    return 0 if requirement is None else RISKS.index(requirement.risk)


class CollectionPlugin:
    """The hooks that choose and order the tests of requirements."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._modules: set[str] = set()
        self._deselected = False

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> pytest.Module | None:
        """Give the modules of the suite the same ids wherever the package is installed."""
        if not _is_suite_module(module_path):
            return None
        self._modules.add(module_path.name)
        return pytest.Module.from_parent(parent, path=module_path, nodeid=f"{SUITE_FOLDER}/{module_path.name}")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run the tests of requirements over each client."""
        if is_requirement(metafunc.definition) and "grpcstream_client" in metafunc.fixturenames:
            metafunc.parametrize("grpcstream_client", self._run.settings.clients)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Notice that only a part of the suite is wanted."""
        self._deselected |= any(is_requirement(item) for item in items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what does not concern this run, order the rest by risk, and give each test a backstop."""
        for item in items:
            RequirementMarker.of(item)  # an invalid marker is a usage error
        whole = any(is_requirement(item) for item in items) and self._is_whole(config) and not self._deselected
        if left_out := [item for item in items if is_requirement(item) and not self._concerns(config, item)]:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
        places = [place for place, item in enumerate(items) if is_requirement(item)]
        for place in places:
            self._prepare(config, items[place])
        ordered = sorted((items[place] for place in places), key=_risk)
        for place, item in zip(places, ordered, strict=True):
            items[place] = item
        tests = {item.nodeid: (requirement_id(item), client_of(item, self._run.settings)) for item in ordered}
        self._run.selection = Selection(tests, whole)

    def _is_whole(self, config: pytest.Config) -> bool:
        """Whether the whole suite was asked for, over both clients: no single modules or tests."""
        folder = _suite_folder()
        names = {SUITE_PACKAGE, str(folder)}
        named = any(argument in names or str(Path(argument).resolve()) in names for argument in config.args)
        modules = {path.name for path in folder.glob("test_*.py")}
        return named and modules <= self._modules and set(self._run.settings.clients) == set(CLIENTS)

    def _concerns(self, config: pytest.Config, item: pytest.Item) -> bool:
        """Whether a test of a requirement belongs to this kind of run: some need TLS, and stress must be asked for."""
        if item.get_closest_marker(STRESS) is not None:
            # Only tests of the suite have the short name: a project's own marker `stress` asks for nothing else.
            names = [name for name in (STRESS, "stress") if item.get_closest_marker(name) is not None]
            if not re.search(rf"\b(?:{'|'.join(names)})\b", config.option.markexpr):
                return False
        from pytest_grpcstream.requirements.registry import registry

        security = self._run.settings.security
        only = getattr(registry().get(requirement_id(item)), "only", "")
        return not only or (security.tls and (only == "tls" or security.cert is not None))

    def _prepare(self, config: pytest.Config, item: pytest.Item) -> None:
        try:
            requirement = requirement_of(item)
        except KeyError as error:
            raise pytest.UsageError(f"{item.nodeid}: unknown requirement {error} in the marker {REQUIREMENT}") from None
        assert requirement is not None  # noqa: S101 - the caller looked for the marker
        # What a JUnit file says about every test of a requirement.
        item.user_properties += [
            ("requirement", requirement.id),
            ("level", f"{requirement.level} ({requirement.owner})"),
            ("severity", requirement.severity),
        ]
        if item.get_closest_marker("timeout") is None and not config.getoption("timeout", None):
            runs = self._run.settings.repeat + (self._run.settings.direct is not None)
            item.add_marker(pytest.mark.timeout(self._run.settings.timeout * BACKSTOP * runs))


class SelectionTransport:
    """Sends the selection to the process that gathers the results of pytest-xdist's workers."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take the selection from a worker; they all say the same."""
        sent = getattr(node, "workeroutput", {}).get("grpcstream")
        if sent:
            self._run.selection = Selection({name: (one, kind) for name, one, kind in sent["tests"]}, sent["whole"])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the selection from a worker."""
        if hasattr(session.config, "workeroutput"):
            selection = self._run.selection
            tests = [(name, one, kind) for name, (one, kind) in selection.tests.items()]
            session.config.workeroutput["grpcstream"] = {"tests": tests, "whole": selection.whole}
