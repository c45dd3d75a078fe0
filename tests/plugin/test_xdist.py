"""Runs under pytest-xdist."""

from __future__ import annotations

import pytest

from plugin.conftest import Judge, Run, Serve
from plugin.results import cases
from plugin.test_summary import summary


def test_verdicts_are_the_same_with_workers(judge: Judge, serve: Serve, pytester: pytest.Pytester) -> None:
    """Test by test and in the summary: passed, failed, warned, inconclusive and not applicable."""
    address = serve("plugin.servicers:SeveralFaults")
    modules = ("message_order", "survival_of_messages", "end_of_stream")
    options = ("--grpcstream-features=none", "--junitxml=report.xml")
    alone = judge(address, *modules, options=options)
    verdicts = {name: case.verdict for name, case in cases(pytester.path / "report.xml").items()}
    assert {*verdicts.values()} == {"passed", "failed", "skipped", "warned"}

    shared = judge(address, *modules, options=(*options, "-n2"))
    assert shared.ret == alone.ret == pytest.ExitCode.TESTS_FAILED
    assert {name: case.verdict for name, case in cases(pytester.path / "report.xml").items()} == verdicts
    assert sorted(summary(shared)) == sorted(summary(alone))


def test_each_worker_starts_its_own_target(run: Run, pytester: pytest.Pytester) -> None:
    """Two workers have two servers."""
    pytester.makepyfile(
        """
        import pathlib

        def test_address(grpcstream_target, worker_id):
            pathlib.Path(f"{worker_id}.txt").write_text(grpcstream_target.address)
        """
    )
    result = run("--grpcstream-target=plugin.servicers:Core", "-n2", "--dist=each", ".")
    assert result.ret == pytest.ExitCode.OK
    addresses = {path.name: path.read_text(encoding="utf-8") for path in pytester.path.glob("gw*.txt")}
    assert len(addresses) == len({*addresses.values()}) == 2
