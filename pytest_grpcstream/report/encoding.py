"""Encodes reports as `report.json`."""

from __future__ import annotations

import json

import msgspec

from pytest_grpcstream.report.values import Report


def encode_report(report: Report) -> str:
    """A report as JSON in ASCII, each test and each requirement on a line of its own."""
    parts = []
    for key, value in msgspec.to_builtins(report).items():
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
            text = "[\n  " + ",\n  ".join(json.dumps(one) for one in value) + "\n ]"
        else:
            text = json.dumps(value)
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
