"""The suite passes servers that are correct in other ways than the reference, in every form of target."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from servers.running import FULL, LIMIT, TESTS, only, run_suite

SMOKE = only("ORD-1", "ORD-12", "EOF-1", "EOF-13", "EOF-14", "PAIR-1", "HALF-1", "ROBUST-4", "WIRE-16")

SHARED = ("-n2",)
"""Two workers, each with its own server, because these runs are long."""

GRPCIO_WARNED = frozenset(
    {
        *("CARD-2", "COMP-4", "EOF-9", "FLOW-9", "META-4", "META-5", "ROBUST-18", "WIRE-15"),
        *(f"H2-{number}" for number in (7, 8, 9, 11, 12, 13, 14, 17, 21)),
        *(f"WIRE-{number}" for number in (5, 6, 13, 22, 23, 24)),
    }
)
"""Requirements for which any servicer on grpcio's HTTP/2 stack gets a warning: see docs/findings.md."""

AIO_WARNED = frozenset({"CARD-1", "EOF-4"})
"""Further warnings on grpc.aio, which never calls the handler of a request without messages."""

WHOLE = {
    "classic": "servers.correct:Correct",
    "eager": "servers.variants:Eager",
    "one response": "servers.variants:ListOfOne",
    "500 responses": "servers.variants:ListOf500",
    "other readings": "servers.variants:OtherReadings",
    "empty points": "servers.variants:NoPointIsEmpty",
}
"""Servers that have every feature."""
PARTIAL = {
    "core only": "servers.variants:Plain",
    "varying lists": "servers.variants:ListOfSixOrSeven",
    "abort only": "servers.variants:AbortOnly",
    "async": "servers.flavours:Async",
}
"""Servers that lack some features, or all."""
FORMS = {
    "instance": "servers.flavours:instance",
    "factory": "servers.flavours:factory",
    "function of a server": "servers.flavours:serve",
}
"""Ways to name a server that has every feature."""


def assert_conformant(
    target: str,
    folder: Path,
    *options: str,
    whole: bool,
    warned: frozenset[str] = frozenset(),
    import_from: Path | None = None,
) -> None:
    """Assert that the suite reports no failure and no unexpected warning, and skips only what a server lacks."""
    outcome = run_suite(target, folder, *options, import_from=import_from)
    assert outcome.code == 0, outcome.summary()
    assert not outcome.failed, outcome.summary()
    assert not outcome.open, outcome.summary()
    assert set(outcome.warned) <= GRPCIO_WARNED | warned, outcome.summary()
    assert outcome.passed > 0, outcome.summary()
    assert bool(outcome.skipped) is not whole, outcome.summary()
    assert all("not applicable" in reason for reason in outcome.skipped), outcome.summary()


@pytest.mark.timeout(LIMIT + 10)
@pytest.mark.parametrize("name", WHOLE)
def test_a_server_with_every_feature_passes_the_whole_suite(name: str, tmp_path: Path) -> None:
    """Names, numbers and interpretations that the contract leaves open do not fail."""
    assert_conformant(WHOLE[name], tmp_path, *SHARED, whole=True)


@pytest.mark.timeout(LIMIT + 10)
@pytest.mark.parametrize("name", PARTIAL)
def test_a_server_without_some_features_passes_the_rest(name: str, tmp_path: Path) -> None:
    """Directives are optional: their tests do not apply to a server that treats them as names."""
    warned = AIO_WARNED if name == "async" else frozenset[str]()
    assert_conformant(PARTIAL[name], tmp_path, *SHARED, whole=False, warned=warned)


@pytest.mark.timeout(LIMIT + 10)
def test_few_threads_cause_only_their_own_warnings(tmp_path: Path) -> None:
    """The number of concurrent calls only causes a warning; its own open calls do not make it look dead."""
    few = f"exec:{shlex.join([sys.executable, '-m', 'servers.few_threads', '{port}'])}"
    assert_conformant(few, tmp_path, *SHARED, whole=True, warned=frozenset({"LOAD-1", "LOAD-4"}))


@pytest.mark.timeout(LIMIT + 10)
@pytest.mark.parametrize("name", FORMS)
def test_a_server_can_be_named_in_any_form(name: str, tmp_path: Path) -> None:
    """A class, an instance, a factory and a function that takes a server are all targets."""
    assert_conformant(FORMS[name], tmp_path, *SMOKE, whole=True)


@pytest.mark.timeout(LIMIT + 10)
def test_a_server_can_be_a_nested_attribute(tmp_path: Path) -> None:
    """The part after the colon may contain dots; this server has the core only."""
    assert_conformant("servers.flavours:Holder.Inner", tmp_path, *SMOKE, whole=False)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with code generated from the proto file, under its own name and under another."""
    folder = tmp_path_factory.mktemp("generated")
    for name in ("stream", "messages_v1"):
        shutil.copy(TESTS.parent / "proto" / "stream.proto", folder / f"{name}.proto")
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"--proto_path={folder}",
                f"--python_out={folder}",
                f"--grpc_python_out={folder}",
                f"{name}.proto",
            ],
            check=True,
            timeout=60,
        )
    return folder


@pytest.mark.timeout(LIMIT + 10)
@pytest.mark.parametrize("name", ["stream", "renamed"])
def test_a_server_on_generated_code_passes(name: str, tmp_path: Path, generated: Path) -> None:
    """A servicer on its own generated code is registered with that code, even if another file has the same names."""
    options = () if FULL else SMOKE
    assert_conformant(f"servers.generated:{name}", tmp_path, *options, whole=False, import_from=generated)
