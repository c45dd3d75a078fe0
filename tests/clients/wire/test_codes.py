"""The numbers and names of HTTP/2, with h2 and hyperframe as oracles."""

from __future__ import annotations

import h2.errors
import h2.settings
import hyperframe.frame

from pytest_grpcstream.clients.wire import ErrorCode, FrameType, SettingCode


def test_error_codes_are_those_of_h2() -> None:
    """Names and numbers are equal."""
    assert {one.name: one.value for one in ErrorCode} == {one.name: one.value for one in h2.errors.ErrorCodes}


def test_setting_codes_are_those_of_h2() -> None:
    """Names and numbers are equal."""
    assert {one.name: one.value for one in SettingCode} == {one.name: one.value for one in h2.settings.SettingCodes}


def test_frame_types_are_those_of_hyperframe() -> None:
    """Numbers are equal, and names too but for the spelling; ALTSVC is an extension, which the client ignores."""
    theirs = {kind: frame.__name__.removesuffix("Frame") for kind, frame in hyperframe.frame.FRAMES.items()}
    assert theirs.pop(0xA) == "AltSvc"
    assert {int(one): one.name.replace("_", "") for one in FrameType} == {
        kind: name.upper() for kind, name in theirs.items()
    }
