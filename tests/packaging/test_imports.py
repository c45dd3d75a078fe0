"""Imports run one way, and an idle plugin imports nothing heavy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_grpcstream

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("google.protobuf", "grpc", "hpack", "msgspec")
SUITE = sorted((ROOT / "conformance").glob("**/*.py"))
REFERENCE = sorted((ROOT / "reference_impl").glob("**/*.py"))
LIBRARY = sorted((ROOT / "pytest_grpcstream").glob("**/*.py"))


def _name(path: Path) -> str:
    """Return the path of a module in the checkout."""
    return path.relative_to(ROOT).as_posix()


def test_importing_the_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    """Pytest loads the plugin in every run of an environment, so loading it must not load grpc and the like."""
    program = f"import sys, pytest_grpcstream.plugin; print([name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.stdout.strip(), run.returncode) == ("[]", 0), run.stderr


def test_a_run_without_a_target_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    """A whole run of tests without streams does not pay for the plugin's hooks either."""
    pytester.makepyfile(
        f"""
        import sys

        def test_idle(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("grpcstream")
            assert [name for name in {HEAVY!r} if name in sys.modules] == []
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="only tox installs the wheel")
def test_the_tests_import_the_installed_wheel() -> None:
    """Under tox the package comes from the wheel, and the checkout is not on the path."""
    assert Path(pytest_grpcstream.__file__).is_relative_to(sysconfig.get_path("purelib"))
    assert str(ROOT) not in sys.path


@pytest.mark.parametrize("path", SUITE, ids=_name)
def test_the_suite_imports_only_pytest_and_the_library(path: Path) -> None:
    """A module of the suite imports no other module of it, no reference implementation and no gRPC library."""
    allowed = {"pytest", "pytest_grpcstream"} | sys.stdlib_module_names
    for name in _imports(path):
        assert name.partition(".")[0] in allowed
        assert not name.startswith(("pytest_grpcstream.conformance", "pytest_grpcstream.reference_impl"))


def test_the_suite_has_no_conftest() -> None:
    """With --pyargs the fixtures of a conftest.py there would leak into users' tests on pytest before 9.1."""
    assert not [path for path in SUITE if path.name == "conftest.py"]


@pytest.mark.parametrize("path", REFERENCE, ids=_name)
def test_the_reference_imports_only_grpc_and_the_messages(path: Path) -> None:
    """The reference implementation does not know the plugin that tests it."""
    allowed = {"grpc", "grpc_health", "grpc_reflection"} | sys.stdlib_module_names
    ours = ("pytest_grpcstream.messages", "pytest_grpcstream.reference_impl")
    for name in _imports(path):
        assert name.partition(".")[0] in allowed or name.startswith(ours)


@pytest.mark.parametrize("path", LIBRARY, ids=_name)
def test_the_library_imports_nothing_above_it(path: Path) -> None:
    """It imports no module of the suite or of the reference implementation; the launcher runs the latter by name."""
    above = ("pytest_grpcstream.conformance.", "pytest_grpcstream.reference_impl")
    assert not [name for name in _imports(path) if name.startswith(above)]


def _imports(path: Path) -> Iterator[str]:
    """Yield the full name of each module and object that a module of this project imports, at any depth."""
    top = path.relative_to(ROOT).parts[0]
    package = [*([] if top == "pytest_grpcstream" else ["pytest_grpcstream"]), *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
