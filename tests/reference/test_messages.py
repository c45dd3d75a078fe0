"""The messages, and the files generated from the proto file."""

from __future__ import annotations

import copy
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_grpcstream import messages

ROOT = Path(__file__).parents[2]
GENERATED = ["messages.pyi", "stream.binpb"]

BESIDE_GENERATED_CODE = """
import sys
sys.path.insert(0, ".")
import {first}
import stream_pb2
from pytest_grpcstream import messages

theirs = stream_pb2.StreamRequest(pt=stream_pb2.StreamPoint(name="name", value=-1))
ours = messages.StreamRequest.FromString(theirs.SerializeToString())
assert (ours.pt.name, ours.pt.value) == ("name", -1)
assert type(ours) is not type(theirs)
assert ours.SerializeToString() == theirs.SerializeToString()
print("both")
"""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a directory."""
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("first", ["stream_pb2", "pytest_grpcstream.messages"])
def test_messages_coexist_with_generated_code(tmp_path: Path, first: str) -> None:
    """A program may import its own, different stream_pb2 before or after the messages."""
    definition = (ROOT / "proto" / "stream.proto").read_text()
    (tmp_path / "stream.proto").write_text(definition.replace("int32 value = 2;", "int32 value = 2; bytes more = 3;"))
    generated = run("-m", "grpc_tools.protoc", "-I.", "--python_out=.", "stream.proto", cwd=tmp_path)
    assert generated.returncode == 0, generated.stderr
    beside = run("-c", BESIDE_GENERATED_CODE.format(first=first), cwd=tmp_path)
    assert (beside.stdout, beside.stderr) == ("both\n", "")


def test_messages_match_the_contract() -> None:
    """Names, numbers and types are those of the contract."""
    service = messages.DESCRIPTOR.services_by_name["StreamService"]
    assert service.full_name == "proto.StreamService"
    assert {
        method.name: (method.client_streaming, method.server_streaming, method.input_type.name, method.output_type.name)
        for method in service.methods
    } == {
        "List": (False, True, "StreamRequest", "StreamResponse"),
        "Record": (True, False, "StreamRequest", "StreamResponse"),
        "Route": (True, True, "StreamRequest", "StreamResponse"),
    }
    request = messages.StreamRequest(pt=messages.StreamPoint(name="n", value=-1))
    assert request.SerializeToString() == bytes.fromhex("0a0e 0a016e 10ffffffffffffffffff01")
    assert messages.StreamResponse(pt=request.pt).SerializeToString() == request.SerializeToString()


def test_pool_has_the_service() -> None:
    """The pool contains what reflection needs, and its classes are those of the module."""
    assert messages.POOL.FindFileContainingSymbol("proto.StreamService") is messages.DESCRIPTOR
    assert messages.StreamPoint.DESCRIPTOR is messages.POOL.FindMessageTypeByName("proto.StreamPoint")


def test_messages_can_be_copied_and_pickled() -> None:
    """Programs that pass messages between processes find the classes by their module."""
    request = messages.StreamRequest(pt=messages.StreamPoint(name="n", value=7))
    assert copy.deepcopy(request) == request
    assert pickle.loads(pickle.dumps(request)) == request


def test_generated_files_are_current() -> None:
    """The files in the repository match the proto file."""
    check = run(ROOT / "scripts" / "generate_messages.py", "--check", cwd=ROOT)
    assert (check.returncode, check.stderr) == (0, "")


def checkout(folder: Path) -> Path:
    """Copy the files that the generator reads and writes."""
    generated = [f"pytest_grpcstream/{name}" for name in GENERATED]
    for name in ("proto/stream.proto", "scripts/generate_messages.py", *generated):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_check_reports_outdated_files(tmp_path: Path) -> None:
    """With --check the generator fails, names each file and changes nothing; without it, it writes them."""
    folder = checkout(tmp_path)
    paths = [folder / "pytest_grpcstream" / name for name in GENERATED]
    current = [path.read_bytes() for path in paths]
    paths[0].write_bytes(b"old")
    paths[1].unlink()
    check = run("scripts/generate_messages.py", "--check", cwd=folder)
    assert check.returncode == 1
    assert sorted(check.stderr.splitlines()) == [
        f"pytest_grpcstream/{name} is out of date: run python scripts/generate_messages.py" for name in GENERATED
    ]
    assert paths[0].read_bytes() == b"old"
    assert not paths[1].exists()
    assert run("scripts/generate_messages.py", cwd=folder).returncode == 0
    assert [path.read_bytes() for path in paths] == current


def test_invalid_proto_file_is_reported_by_protoc(tmp_path: Path) -> None:
    """Nothing is written if protoc fails."""
    folder = checkout(tmp_path)
    (folder / "proto" / "stream.proto").write_text("syntax = nonsense;")
    failed = run("scripts/generate_messages.py", cwd=folder)
    assert failed.returncode == 1
    assert re.fullmatch(r"protoc failed:\n.*stream\.proto:1:10: .+\n", failed.stderr)
    assert [(folder / "pytest_grpcstream" / name).read_bytes() for name in GENERATED] == [
        (ROOT / "pytest_grpcstream" / name).read_bytes() for name in GENERATED
    ]
