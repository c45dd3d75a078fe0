"""Nothing that a target sends has an effect in a file of a report, makes it large, or reveals a secret."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from plugin.conftest import Serve
from pytest_grpcstream.plugin.evidence import SECRET_NOTE
from reports.conftest import EITHER_WAY, Report, Reported
from reports.servicers import MARKUP

ONCE = "record_pairing::test_record_is_answered_exactly_once"
LIST = "message_order::test_list_responses_arrive_in_the_order_they_were_written"
NO_POINT = "survival_of_messages::test_a_request_without_pt_does_not_crash_the_server"
TEXTS = ("report.json", "summary.md", "badge.json", "timelines/")
SECRET_TEXT = "Bearer 0123456789abcdefghijklmnopqrstuvwxyz"


def assert_harmless(found: Reported) -> None:
    """Texts are printable ASCII; the page has no markup except its own."""
    for name, text in found.texts().items():
        if name.startswith(TEXTS):
            assert not re.search(r"[^\x20-\x7e\n]", text), name
    page = found.texts()["summary.md"]
    assert set(re.findall(r"<[^>]*>", page)) <= {"<code>", "</code>"}
    assert page.count("<code>") == page.count("</code>")
    inside = re.findall(r"<code>(.*?)</code>", page)
    assert not [text for text in inside if re.search(r"[<>|`@\[\]!*~$\"\\]|://|www\.|&(?!#\d+;)", text)]
    outside = re.sub(r"<code>.*?</code>", "", page)
    assert "evil" not in outside
    assert "octocat" not in outside
    # Every line is one of the page's own.
    own = re.compile(r"\|.*\||#{2,3} .*| *- .*||[^|#-].*")
    assert all(own.fullmatch(line) for line in page.splitlines())


@EITHER_WAY
def test_markup_has_no_effect(report: Report, serve_hostile: Serve, workers: tuple[str, ...]) -> None:
    """Neither in a name nor in a status message; in failures, warnings and events."""
    found = report(serve_hostile("Markup"), ONCE, LIST, NO_POINT, options=workers)
    assert {one["verdict"] for one in found.tests.values()} == {"failed", "warned", "passed"}
    assert_harmless(found)
    page = found.texts()["summary.md"]
    assert "&#60;/code&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#64;" in page
    assert "### Warnings" in page
    assert "\\\\x1b[2J\\\\n# h\\\\r|" in found.texts()["report.json"]


def test_markup_in_the_name_of_a_test_has_no_effect(report: Report, pytester: pytest.Pytester, core: str) -> None:
    """Parameters of users' tests may be anything."""
    pytester.makepyfile(
        test_own=f"""
        import pytest

        @pytest.mark.grpcstream_requirement("ORD-1")
        @pytest.mark.parametrize("one", [1], ids=[{MARKUP!r}])
        def test_own(grpcstream, one):
            raise AssertionError({MARKUP!r})
        """
    )
    result = pytester.runpytest_subprocess(
        f"--grpcstream-target={core}", "--grpcstream-features=none", "--grpcstream-report=out", "."
    )
    result.assert_outcomes(failed=2)
    from reports.reading import load

    assert_harmless(Reported(result, pytester.path / "out", load(pytester.path / "out" / "report.json")))


@pytest.mark.parametrize("name", ["Huge", "LongNames"])
def test_ten_megabytes_are_cut(report: Report, serve_hostile: Serve, name: str) -> None:
    """No text of a report grows with what a target sends; a capture has its limit."""
    found = report(serve_hostile(name), ONCE if name == "Huge" else LIST)
    assert {one["verdict"] for one in found.tests.values()} <= {"failed", "inconclusive"}
    assert_harmless(found)
    sizes = {path: len(text) for path, text in found.texts().items()}
    assert max(size for path, size in sizes.items() if path.endswith(".json")) < 200_000
    assert sizes["summary.md"] < 50_000
    assert max(size for path, size in sizes.items() if path.endswith(".jsonl")) < 1 << 20
    assert max(size for path, size in sizes.items() if path.endswith(".pcap")) < 8 << 20


def test_bytes_that_are_not_text_are_escaped(report: Report, serve_hostile: Serve) -> None:
    """Responses that are not valid messages, with strings that are not UTF-8."""
    found = report(serve_hostile("garbage"), ONCE, LIST)
    assert {one["verdict"] for one in found.tests.values()} <= {"failed", "inconclusive"}
    assert any("do not parse" in one["reason"] for one in found.tests.values())
    assert_harmless(found)


@EITHER_WAY
def test_secret_metadata_is_in_no_file(
    report: Report, serve_hostile: Serve, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    """Even if the target echoes it; there is no capture, which could not hide it, and a note says why."""
    monkeypatch.setenv("TOKEN", SECRET_TEXT)
    options = ("--grpcstream-metadata=authorization: $TOKEN", *workers)
    found = report(serve_hostile("EchoSecret"), ONCE, LIST, options=options)
    assert {one["verdict"] for one in found.tests.values()} <= {"failed", "inconclusive"}
    everything = "".join(found.texts().values())
    token = SECRET_TEXT.partition(" ")[2]
    assert not [token[at : at + 8] for at in range(len(token) - 7) if token[at : at + 8] in everything]
    assert "***" in found.texts()["report.json"]
    assert "***" in "".join(text for name, text in found.texts().items() if name.startswith("timelines/"))
    assert not [name for name in found.texts() if name.endswith(".pcap")]
    assert {one["note"] for one in found.tests.values() if one["client"] == "wire" and one["timeline"]} == {SECRET_NOTE}


def test_a_secret_in_the_target_is_hidden(report: Report, core: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of the target may contain it too."""
    monkeypatch.setenv("TOKEN", core)
    found = report(core, ONCE, options=("--grpcstream-metadata=authorization: $TOKEN",))
    assert "***" in found.report["target"]["text"]
    assert core not in "".join(found.texts().values())


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_junit_report_is_well_formed(
    report: Report, serve_hostile: Serve, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """With hostile text in failures, warnings and properties; each test has its requirement, level and severity."""
    report(serve_hostile("Markup"), ONCE, LIST, NO_POINT, options=("--junitxml=junit.xml", *workers))
    junit = (pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", junit)
    found = list(ElementTree.fromstring(junit).iter("testcase"))
    assert found
    for case in found:
        assert {"requirement", "level", "severity"} <= {f"{one.get('name')}" for one in case.iter("property")}
    assert "<script>alert(1)</script>" in "".join(f"{one.text}" for case in found for one in case.iter("failure"))
