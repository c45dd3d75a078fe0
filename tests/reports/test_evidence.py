"""The evidence of what failed: timelines and captures of every connection of a test, limited and named safely."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hpack import Decoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame

from plugin.conftest import Run, Serve
from pytest_grpcstream.clients.wire import WireClient
from pytest_grpcstream.plugin.evidence import BUDGET_NOTE, LIBRARY_NOTE, TEST_LIMIT, _flow, _port
from pytest_grpcstream.report import pcap, timelines
from pytest_grpcstream.report.files import PCAP_PATTERN, TIMELINE_PATTERN, make_safe_name, write_atomically
from pytest_grpcstream.report.subject import Subject
from pytest_grpcstream.wire.frames import PREFACE
from reports.conftest import EITHER_WAY, Report
from reports.reading import load, load_conversations, load_events

LIST = "message_order::test_list_responses_arrive_in_the_order_they_were_written"


def frames(content: bytes) -> list[Frame]:
    """The HTTP/2 frames of a text, all of them complete."""
    found = []
    while content:
        frame, length = Frame.parse_frame_header(memoryview(content[:9]))
        frame.parse_body(memoryview(content[9 : 9 + length]))
        assert len(content) >= 9 + length
        found.append(frame)
        content = content[9 + length :]
    return found


@EITHER_WAY
def test_failed_test_has_the_events_of_its_streams(report: Report, serve: Serve, workers: tuple[str, ...]) -> None:
    """One object for each event, in order, and the deciding one marked; whichever worker ran the test."""
    found = report(serve("plugin.servicers:ListSkipsOne"), LIST, options=workers)
    assert len(found.tests) == 6
    named = {one["timeline"] for one in found.tests.values()}
    assert named == {name for name in found.texts() if name.startswith("timelines/")}
    for one in found.tests.values():
        seen = load_events(found.folder / one["timeline"])
        assert {tuple(event)[:9] for event in seen} == {
            ("stream", "method", "connection", "stream_id", "n", "at", "side", "what", "detail")
        }
        stream = [event for event in seen if event["stream"] == 1]
        assert {event["method"] for event in stream} == {"/proto.StreamService/List"}
        assert [event["n"] for event in stream] == list(range(1, len(stream) + 1))
        assert {event["side"] for event in stream} >= {"client", "server"}
        assert any("order" in event["detail"] for event in stream)
        assert sum(event.get("deciding", False) for event in seen) == 1
        connection = [event for event in seen if event["stream"] == 0]
        assert bool(connection) is (one["client"] == "wire")
        if one["client"] == "wire":
            assert {event["stream_id"] for event in stream} == {1}
            assert any(event["what"] == "SETTINGS" for event in connection)


@EITHER_WAY
def test_failed_test_of_the_wire_client_has_a_capture(report: Report, serve: Serve, workers: tuple[str, ...]) -> None:
    """It contains the frames of both sides; a note says why the library client has none."""
    address = serve("plugin.servicers:ListSkipsOne")
    found = report(address, LIST, options=workers)
    assert {one["pcap"] is None for one in found.tests.values() if one["client"] == "library"} == {True}
    assert {one["note"] for one in found.tests.values() if one["client"] == "library"} == {LIBRARY_NOTE}
    captured = [one for one in found.tests.values() if one["client"] == "wire"]
    assert len(captured) == 3
    for one in captured:
        [talk] = load_conversations((found.folder / one["pcap"]).read_bytes())
        assert talk.ports == (49152, int(address.rpartition(":")[2]))
        assert talk.flags[:3] == [0x02, 0x12, 0x10]
        assert talk.times == sorted(talk.times)
        assert talk.first == {True: 1, False: 1}
        assert talk.sent[True].startswith(PREFACE)
        [request] = [one for one in frames(talk.sent[True][len(PREFACE) :]) if isinstance(one, HeadersFrame)]
        fields = [(str(name), str(value)) for name, value in Decoder().decode(request.data)]
        assert (":path", "/proto.StreamService/List") in fields
        assert sum(isinstance(one, DataFrame) for one in frames(talk.sent[False])) == 3


def test_passed_and_warned_tests_have_no_evidence(report: Report, serve: Serve) -> None:
    """Nor have skipped tests."""
    found = report(serve("plugin.servicers:UnknownWithoutPoint"), "survival_of_messages")
    assert {one["verdict"] for one in found.tests.values()} == {"passed", "warned", "not applicable"}
    assert {(one["timeline"], one["pcap"], one["note"]) for one in found.tests.values()} == {(None, None, "")}
    assert set(found.texts()) == {"report.json", "summary.md", "badge.json"}


def test_every_connection_of_a_test_is_its_own_flow(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """Also those of further clients that the wire client makes, and of clients of grpcstream_connect."""
    pytester.makepyfile(
        """
        import pytest
        from pytest_grpcstream import Failure

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_many(grpcstream_wire, grpcstream_connect):
            for client in (grpcstream_wire, grpcstream_wire.fresh(), grpcstream_wire.fresh().fresh()):
                client.list("x").collect()
            grpcstream_connect().list("by hand").collect()
            raise Failure("one thing", "another")
        """
    )
    arguments = ("--grpcstream-features=none", "--grpcstream-client=wire", "--grpcstream-report=out")
    run(f"--grpcstream-target={core}", *arguments, ".")
    [test] = load(pytester.path / "out" / "report.json")["tests"]
    assert (test["expected"], test["actual"]) == ("one thing", "another")
    talks = load_conversations((pytester.path / "out" / test["pcap"]).read_bytes())
    assert [talk.ports[0] for talk in talks] == [49152, 49153, 49154, 49155]
    seen = load_events(pytester.path / "out" / test["timeline"])
    assert {(event["stream"], event["connection"]) for event in seen} == {
        *((number, number) for number in range(1, 5)),
        *((0, number) for number in range(1, 5)),
    }
    begins = [next(event["at"] for event in seen if event["stream"] == number) for number in range(1, 5)]
    assert begins == sorted(begins)
    assert min(event["at"] for event in seen) == pytest.approx(0, abs=0.01)


def test_failing_fixture_has_evidence(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """A failure in teardown replaces the success of the test."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def late(grpcstream):
            yield
            raise AssertionError("late")

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_something(grpcstream, late):
            grpcstream.list("x").collect()
        """
    )
    run(f"--grpcstream-target={core}", "--grpcstream-features=none", "--grpcstream-report=out", ".")
    tests = load(pytester.path / "out" / "report.json")["tests"]
    assert {one["verdict"] for one in tests} == {"failed"}
    assert all((pytester.path / "out" / one["timeline"]).is_file() for one in tests)


# Names and limits -------------------------------------------------------------------------------------------------


def test_file_names_cannot_leave_their_folder(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """Whatever the ids of tests are, each has its own file in the folder."""
    pytester.makepyfile(
        """
        import pytest

        IDS = ["../../../etc/passwd", "/root", "..", "a/b", "a b", "A B", "con", "x" * 400, "~", "$HOME", "n\\x00ul"]
        IDS += ["\\udcff"]

        @pytest.mark.grpcstream_requirement("ORD-1")
        @pytest.mark.parametrize("one", range(len(IDS)), ids=IDS)
        def test_name(grpcstream, one):
            assert not grpcstream.list("x").collect()
        """
    )
    arguments = ("--grpcstream-features=none", "--grpcstream-client=wire", "--grpcstream-report=out/deep")
    run(f"--grpcstream-target={core}", *arguments, ".")
    folder = pytester.path / "out" / "deep"
    tests = load(folder / "report.json")["tests"]
    assert len(tests) == 12
    for kind, pattern in (("timeline", TIMELINE_PATTERN), ("pcap", PCAP_PATTERN)):
        names = [one[kind] for one in tests]
        assert len({name.casefold() for name in names}) == 12
        assert all(re.fullmatch(pattern, name) and (folder / name).is_file() and len(name) < 130 for name in names)
    written = {path for path in pytester.path.rglob("*") if path.suffix in (".jsonl", ".pcap")}
    assert {path.parent.parent for path in written} == {folder}
    assert len(written) == 24


@pytest.mark.parametrize("nodeid", ["", "::", "x::..", "x::[", "a::é", "a::b\n", "a::" + "/" * 300])
def test_every_id_gets_a_safe_name(nodeid: str) -> None:
    """At most 100 letters, digits, underscores and dashes, without a dash at the beginning."""
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{12,100}", make_safe_name(nodeid, nodeid))


def test_number_of_files_is_limited(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """If everything fails, some tests have evidence, and notes say why the others have none."""
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.grpcstream_requirement("ORD-1")
        @pytest.mark.parametrize("number", range({TEST_LIMIT + 5}))
        def test_number(grpcstream_wire, number):
            assert not grpcstream_wire.list("x").collect()
        """
    )
    arguments = ("--grpcstream-features=none", "--grpcstream-client=wire", "--grpcstream-report=out")
    run(f"--grpcstream-target={core}", *arguments, "--tb=no", "-q", ".")
    tests = load(pytester.path / "out" / "report.json")["tests"]
    assert [one["pcap"] is not None for one in tests] == [True] * TEST_LIMIT + [False] * 5
    assert {one["note"] for one in tests[TEST_LIMIT:]} == {BUDGET_NOTE}
    assert len(list((pytester.path / "out" / "pcap").iterdir())) == TEST_LIMIT


def test_evidence_that_cannot_be_written_does_not_stop_the_run(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """The verdicts do not change; a note says why a file is missing."""
    pytester.makepyfile(
        """
        import pathlib
        import pytest

        @pytest.mark.grpcstream_requirement("ORD-1")
        def test_something(grpcstream_wire):
            pathlib.Path("out/timelines").write_text("in the way")
            assert not grpcstream_wire.list("x").collect()
        """
    )
    arguments = ("--grpcstream-features=none", "--grpcstream-client=wire", "--grpcstream-report=out")
    result = run(f"--grpcstream-target={core}", *arguments, ".")
    result.assert_outcomes(failed=1)
    [test] = load(pytester.path / "out" / "report.json")["tests"]
    assert (test["verdict"], test["timeline"]) == ("failed", None)
    assert test["note"].startswith("not written: ")


def test_report_that_cannot_be_written_fails_the_run(run: Run, pytester: pytest.Pytester, core: str) -> None:
    """The option asked for it."""
    pytester.makepyfile(
        """
        import pathlib
        import shutil

        def test_something():
            shutil.rmtree("out")
            pathlib.Path("out").write_text("in the way")
        """
    )
    result = run(f"--grpcstream-target={core}", "--grpcstream-report=out", ".")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["report: out/report.json was not written: *out*"])


# The format of captures -------------------------------------------------------------------------------------------


def test_capture_has_every_byte_of_both_directions_in_segments() -> None:
    """No segment is larger than the MSS that both sides announce."""
    data = os.urandom(10_001)
    flow = pcap.Flow(443, 5.0, [pcap.Bytes(5.5, True, 0, data), pcap.Bytes(6.25, False, 0, data[:7])])
    content, lost = pcap.encode_capture([flow], 1 << 20)
    [talk] = load_conversations(content)
    assert (talk.sent[True], talk.sent[False], lost) == (data, data[:7], 0)
    assert talk.sizes == [0, 0, 0, *[pcap.MSS] * 6, 10_001 - 6 * pcap.MSS, 7]
    assert [flag & 0x08 for flag in talk.flags] == [0, 0, 0, *[0] * 6, 8, 8]
    assert talk.times == [5.0] * 3 + [5.5] * 7 + [6.25]


def test_capture_without_the_first_bytes_starts_at_their_successors() -> None:
    """Sequence numbers say how much came before, also beyond 2^32, and leave no gap."""
    for offset in (5000, 2**32 - 3, 2**32 + 10):
        chunks = [pcap.Bytes(1.0, False, offset, b"rest"), pcap.Bytes(1.0, False, offset + 4, b"more")]
        content, _ = pcap.encode_capture([pcap.Flow(80, 0.0, chunks)], 1 << 20)
        numbers = [int.from_bytes(packet[24:28], "big") for packet in _packets(content)]
        place = offset % 2**32
        assert numbers == [0, place, 1, (place + 1) % 2**32, (place + 5) % 2**32]


def _packets(content: bytes) -> list[bytes]:
    found = []
    place = 24
    while place < len(content):
        size = int.from_bytes(content[place + 8 : place + 12], "little")
        found.append(content[place + 16 : place + 16 + size])
        place += 16 + size
    return found


def test_capture_is_limited_and_keeps_the_newest_connections() -> None:
    """The beginning of a connection that does not fit is kept; the result says how much is missing."""
    flows = [pcap.Flow(80, 0.0, [pcap.Bytes(0.0, True, 0, bytes([number]) * 2000)]) for number in range(4)]
    content, lost = pcap.encode_capture(flows, 6500)
    assert len(content) <= 6500
    talks = load_conversations(content)
    assert [talk.ports[0] for talk in talks] == [49153, 49154, 49155]
    assert [len(talk.sent[True]) for talk in talks] == [1460, 2000, 2000]
    assert lost == 2000 + 540
    assert load_conversations(pcap.encode_capture(flows, 50)[0]) == []


def test_ports_are_distinct() -> None:
    """Also if the server has one of the ports that clients get in a capture."""
    flows = [pcap.Flow(49153, 0.0, []) for _ in range(3)]
    talks = load_conversations(pcap.encode_capture(flows, 1 << 20)[0])
    assert [talk.ports for talk in talks] == [(49152, 49153), (49151, 49153), (49154, 49153)]
    assert [_port(text) for text in ("127.0.0.1:80", "[::1]:8080", "unix:/tmp/x:99")] == [80, 8080, 50051]


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0\0", b"\xff\xff", b"\xff\xff\xff\xff", b"\1", b"\xff\xfe\0\1", b"abc"]
)
def test_checksum_is_that_of_rfc_1071(data: bytes) -> None:
    """A sum that includes the checksum has all bits set."""
    total = sum(int.from_bytes(data[place : place + 2].ljust(2, b"\0"), "big") for place in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    assert pcap.compute_checksum(data) == 0xFFFF - total


def test_capture_starts_where_the_byte_log_does(core: str) -> None:
    """The byte log keeps the newest bytes; the sequence numbers of the capture are their offsets."""
    with WireClient(core) as client:
        for _ in range(20):
            client.list("x" * 60_000).collect()
    [connection] = client.connections
    log = connection.byte_log
    [talk] = load_conversations(pcap.encode_capture([_flow(connection)], 8 << 20)[0])
    assert log.bytes_received > (1 << 20) >= len(log.received())
    assert talk.sent[False] == log.received()
    assert talk.first[False] == log.bytes_received - len(log.received()) + 1


def test_timelines_are_limited_and_keep_the_newest_streams(core: str) -> None:
    """A last line says how many events are missing."""
    with WireClient(core) as client:
        streams = [client.list("x") for _ in range(10)]
        for stream in streams:
            stream.collect()
        subject = Subject(tuple(streams), (client.connection,))
        every = timelines.render_timelines(subject, str, 1 << 20).splitlines()
        text = timelines.render_timelines(subject, str, 5000)
    assert len(text) <= 5000
    *some, last = map(json.loads, text.splitlines())
    assert last == {"left_out": len(every) - len(some)}
    assert {one["stream"] for one in some} < set(range(5, 11))
    assert 10 in {one["stream"] for one in some}


def test_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """No temporary file is left."""
    write_atomically(tmp_path / "deep" / "one.txt", "first")
    write_atomically(tmp_path / "deep" / "one.txt", b"second")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["one.txt"]
    assert (tmp_path / "deep" / "one.txt").read_bytes() == b"second"
