"""report.json: what it says about a run, however the run ends."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plugin.conftest import Run, Serve
from plugin.results import cases
from pytest_grpcstream.report.building import describe_run
from pytest_grpcstream.report.verdict_log import VerdictLog
from pytest_grpcstream.verdicts.test_verdict import Evidence
from reports.conftest import EITHER_WAY, Report
from reports.documents import DAY, SETTINGS, make_verdict
from reports.reading import SCHEMA, load

ONCE = "record_pairing::test_record_is_answered_exactly_once"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "reports.md"


@EITHER_WAY
def test_report_has_the_verdict_on_every_test(
    report: Report, serve: Serve, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """The same as in pytest's own reports, with requirement and duration; one report of all workers."""
    address = serve("plugin.servicers:SeveralFaults")
    began = datetime.datetime.now(datetime.UTC)
    found = report(address, "message_order", "survival_of_messages", options=("--junitxml=junit.xml", *workers))
    assert found.result.ret == found.report["exit_code"] == 1
    assert found.result.outlines[-1].count("failed")
    assert "report: out/report.json" in found.result.outlines
    junit = cases(pytester.path / "junit.xml")
    usual = {"inconclusive": "failed", "not applicable": "skipped"}
    tests = found.tests
    assert {name: usual.get(one["verdict"], one["verdict"]) for name, one in tests.items()} == {
        name: case.verdict for name, case in junit.items()
    }
    assert {name: one["requirement"] for name, one in tests.items()} == {
        name: case.properties["requirement"] for name, case in junit.items()
    }
    counts: dict[str, int] = found.report["counts"]
    assert {word for word, count in counts.items() if count} == {
        "passed", "failed", "warned", "inconclusive", "not applicable"
    }  # fmt: skip
    assert sum(counts.values()) == len(tests)
    assert all(one["duration"] > 0 for one in tests.values())
    assert found.report["complete"]
    assert not found.report["whole"]
    started, ended = (datetime.datetime.fromisoformat(found.report[name]) for name in ("started", "ended"))
    assert began - datetime.timedelta(seconds=1) < started < ended
    assert found.report["verdict"]["word"] == "not conformant"
    assert f"verdict: {found.report['verdict']['text']}" in found.result.outlines


def test_report_has_the_verdict_on_every_requirement(report: Report, serve: Serve) -> None:
    """The gravest of its tests, null without a test; requirements that concern other runs are left out."""
    found = report(serve("plugin.servicers:SeveralFaults"), "message_order", "survival_of_messages")
    requirements = found.requirements
    failed = requirements["ORD-1"]
    assert (failed["verdict"], failed["severity"], failed["level"], failed["owner"]) == (
        "failed", "error", "MUST", "gRPC"
    )  # fmt: skip
    assert failed["sentence"].startswith("The responses of a List arrive")
    assert failed["source"]
    assert requirements["ROBUST-4"]["verdict"] == "warned"
    assert requirements["ORD-2"]["verdict"] == "not applicable"
    assert requirements["PAIR-1"]["verdict"] is None
    assert not [name for name in requirements if name.startswith("TLS-")]
    coverage = found.report["coverage"]
    assert 0 < coverage["checked"] < coverage["total"]
    assert "PAIR-1" in coverage["missing"]
    assert {"reason": "not applicable: the target has no echo", "requirements": ["ORD-2", "ORD-3"]} in coverage[
        "unchecked"
    ]


def test_report_has_target_and_settings(report: Report, reference: str, core: str) -> None:
    """Features that were declared, clients, options."""
    found = report(reference, ONCE, options=("--grpcstream-features=all", "--grpcstream-client=wire"))
    target = found.report["target"]
    assert target["text"] == reference
    assert target["source"] == "the option --grpcstream-target"
    assert target["descriptions"][0].startswith(f"already running at {reference}; features declared: ")
    assert target["features"] == ["abort", "echo", "finish", "metadata", "repeat", "sleep", "watch"]
    assert (found.report["clients"], found.report["strict"], found.report["repeat"]) == (["wire"], False, 1)
    found = report(core, ONCE, options=("--grpcstream-strict", "--grpcstream-repeat=2"))
    assert (found.report["target"]["features"], found.report["strict"], found.report["repeat"]) == ([], True, 2)


@EITHER_WAY
def test_report_has_features_that_were_probed(
    run: Run, reference: str, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """The process that runs the tests probes them, if a test needs them."""
    name = "pytest_grpcstream.conformance.test_record_pairing::test_record_counts_requests_that_are_not_directives"
    target = f"--grpcstream-target={reference}"
    assert run(target, "--grpcstream-report=out", *workers, "--pyargs", name).ret == 0
    report = load(pytester.path / "out" / "report.json")
    assert report["target"]["features"] == ["abort", "echo", "finish", "metadata", "repeat", "sleep", "watch"]
    assert "features found: " in report["target"]["descriptions"][0]


@EITHER_WAY
def test_expected_changed_fixed_and_flaky_are_reported(
    report: Report, serve: Serve, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """Each is the verdict on its test, and on its requirement."""
    entries = {"ORD-1": "3 in total", "test_list_returns_the_name_as_it_was_sent[library-one]": "anything else"}
    (pytester.path / "list.toml").write_text(
        "".join(f"[[expect]]\nid = '{name}'\nreason = '{reason}'\n" for name, reason in entries.items())
    )
    address = serve("plugin.servicers:ListSkipsOne")
    options = ("--grpcstream-expect=list.toml", "--grpcstream-client=library", *workers)
    found = report(address, "message_order", options=options)
    assert found.requirements["ORD-1"]["verdict"] == "expected"
    assert found.tests["test_list_returns_the_name_as_it_was_sent[library-one]"]["verdict"] == "changed"
    assert found.requirements["ORD-6"]["verdict"] == "changed"

    (pytester.path / "list.toml").write_text(f"[[expect]]\nid = '{ONCE.partition('::')[2]}[library-1]'\nreason = 'x'\n")
    found = report(address, ONCE, options=options)
    assert found.tests["test_record_is_answered_exactly_once[library-1]"]["verdict"] == "fixed"

    options = ("--grpcstream-repeat=4", "--grpcstream-client=library", *workers)
    found = report(serve("plugin.servicers:EverySecondRecord"), ONCE, options=options)
    flaky = found.tests["test_record_is_answered_exactly_once[library-7]"]
    assert flaky["verdict"] == "flaky"
    assert (found.folder / flaky["timeline"]).is_file()
    assert (found.requirements["PAIR-1"]["verdict"], found.report["verdict"]["word"]) == ("flaky", "not conformant")


def test_report_has_the_verdict_on_the_upstream_server(report: Report, serve: Serve, core: str) -> None:
    """With its reason, test by test."""
    options = ("--grpcstream-client=wire", f"--grpcstream-direct={core}")
    found = report(serve("reports.servicers:RecordFails"), ONCE, options=options)
    assert found.report["target"]["direct"] == core
    assert {one["verdict"] for one in found.tests.values()} == {"failed"}
    assert [one["direct"] for one in found.tests.values()] == [{"verdict": "passed", "reason": ""}] * len(found.tests)


def test_report_has_disagreements_of_the_clients(report: Report, serve: Serve) -> None:
    """With the verdict by each client."""
    test = "test_list_responses_arrive_in_the_order_they_were_written"
    found = report(serve("plugin.servicers:WrongForGrpcio"), f"message_order::{test}")
    # In the order in which the tests ran, which is not the same in every version of pytest.
    assert sorted(found.report["disagreements"], key=lambda one: str(one["test"])) == [
        {"requirement": "ORD-1", "test": f"{test}[*-{value}]", "verdicts": {"library": "failed", "wire": "passed"}}
        for value in (-3, 0, 1000)
    ]


def test_report_has_stale_expected_failures(report: Report, pytester: pytest.Pytester, core: str) -> None:
    """They fail a run without a failing test."""
    (pytester.path / "list.toml").write_text("[[expect]]\nid = 'ORD-999'\nreason = 'x'\n")
    found = report(core, ONCE, options=("--grpcstream-expect=list.toml",))
    assert found.report["exit_code"] == 1
    assert found.report["complaints"] == ["ORD-999 (entry 1 of list.toml) matches no test"]
    assert found.report["verdict"]["word"] == "not conformant"
    assert json.loads((found.folder / "badge.json").read_text())["message"] == "not conformant"


def test_every_field_is_documented() -> None:
    """Docs and schema name the same fields; the schema requires every field that it describes."""
    text = DOCS.read_text(encoding="utf-8")

    def fields(one: Any) -> Iterator[str]:
        if isinstance(one, dict):
            if properties := one.get("properties"):
                assert set(properties) == set(one["required"])
                yield from properties
            for value in one.values():
                yield from fields(value)

    names = set(fields(SCHEMA))
    assert {"schema", "nodeid", "sentence"} <= names
    assert [name for name in names if f"`{name}`" not in text] == []


# Where it is written ----------------------------------------------------------------------------------------------


def test_folder_that_cannot_be_written_is_wrong_usage(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """One message before collection says where it was named and what is valid."""
    (pytester.path / "file").write_text("not a folder")
    for text in ("file", "file/out", "/proc/nowhere"):
        result = run(f"--grpcstream-target={core}", f"--grpcstream-report={text}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert [line for line in result.errlines if line] == [
            f"ERROR: Invalid report {text!r} from the option --grpcstream-report; "
            "expected a writable directory (created if missing)"
        ]
        assert "collected" not in result.stdout.str()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_forbidden_folder_is_wrong_usage(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """It exists, but is not writable."""
    (pytester.path / "out").mkdir(mode=0o500)
    assert run(f"--grpcstream-target={core}", "--grpcstream-report=out").ret == pytest.ExitCode.USAGE_ERROR


def test_folder_may_come_from_the_environment_or_the_ini_file(
    run: Run, pytester: pytest.Pytester, core: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option wins over the environment, which wins over the ini file; its paths are relative to that file."""
    pytester.makeini("[pytest]\ngrpcstream_report = deep/ini\n")
    below = pytester.mkdir("below")
    monkeypatch.chdir(below)
    arguments = (f"--grpcstream-target={core}", "--grpcstream-features=none", "--grpcstream-client=library")
    name = f"pytest_grpcstream.conformance.test_{ONCE}"
    run(*arguments, f"--rootdir={pytester.path}", f"-c{pytester.path}/tox.ini", "--pyargs", name)
    load(pytester.path / "deep" / "ini" / "report.json")
    monkeypatch.setenv("GRPCSTREAM_REPORT", "environment")
    for option, place in (("", "environment"), ("--grpcstream-report=option", "option")):
        run(*arguments, f"-c{pytester.path}/tox.ini", *filter(None, [option]), "--pyargs", name)
        load(below / place / "report.json")


def test_report_does_not_follow_the_working_directory(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """A test may change it."""
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_moves(grpcstream, tmp_path):
            os.chdir(tmp_path)
            assert not grpcstream.list("x").collect()
        """
    )
    run(f"--grpcstream-target={core}", "--grpcstream-features=none", "--grpcstream-report=out", ".")
    [test, other] = load(pytester.path / "out" / "report.json")["tests"]
    assert (pytester.path / "out" / test["timeline"]).is_file()
    assert (pytester.path / "out" / other["timeline"]).is_file()


def test_workers_write_evidence_and_no_report(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """The process that gathers their results writes the report."""
    pytester.makepyfile(
        """
        def test_worker(pytestconfig, worker_id):
            assert worker_id == "gw0"
            assert pytestconfig.pluginmanager.has_plugin("grpcstream-evidence")
            assert not pytestconfig.pluginmanager.has_plugin("grpcstream-report")
        """
    )
    result = run(f"--grpcstream-target={core}", "--grpcstream-report=out", "-n1", ".")
    result.assert_outcomes(passed=1)
    assert load(pytester.path / "out" / "report.json")["verdict"]["word"] == "none"


def test_new_run_removes_the_last_report_and_nothing_else(report: Report, serve: Serve, core: str) -> None:
    """Old evidence is not mistaken for new; other files stay."""
    found = report(serve("reports.servicers:RecordFails"), ONCE)
    assert [name for name in found.texts() if name.startswith("pcap/")]
    (found.folder / "pcap" / "mine.pcap").write_bytes(b"mine")
    found = report(core, ONCE)
    assert set(found.texts()) == {"report.json", "summary.md", "badge.json", "pcap/mine.pcap"}


def test_new_run_removes_the_evidence_of_a_killed_run(report: Report, serve: Serve, core: str) -> None:
    """Its files are named in the logged verdicts."""
    found = report(serve("reports.servicers:RecordFails"), ONCE)
    names = [one[kind] for one in found.tests.values() for kind in ("timeline", "pcap") if one[kind]]
    assert names
    log = VerdictLog(found.folder / "verdicts.jsonl", str)
    log.start(describe_run(SETTINGS, DAY, whole=False))
    for number, name in enumerate(names):
        timeline, pcap = (name, None) if name.startswith("timelines/") else (None, name)
        test = make_verdict(f"a.py::test_{number}", "PAIR-1", "failed")
        log.append(replace(test, evidence=Evidence(timeline, pcap)), 1)
    log.close()
    (found.folder / "report.json").unlink()
    assert set(report(core, ONCE).texts()) == {"report.json", "summary.md", "badge.json"}


def test_collect_only_leaves_a_report_as_it_is(report: Report, run: Run, core: str) -> None:
    """It does not run tests."""
    found = report(core, ONCE)
    name = f"pytest_grpcstream.conformance.test_{ONCE}"
    assert run(f"--grpcstream-target={core}", "--grpcstream-report=out", "--collect-only", "--pyargs", name).ret == 0
    assert load(found.folder / "report.json") == found.report


def test_run_without_the_option_does_not_import_it(pytester: pytest.Pytester) -> None:
    """Neither the package nor msgspec: a plain run of pytest does not pay for them."""
    pytester.makepyfile(
        """
        import sys

        def test_idle():
            assert not [name for name in sys.modules if name.startswith(("pytest_grpcstream.report", "msgspec"))]
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
