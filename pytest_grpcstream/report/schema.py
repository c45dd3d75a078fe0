"""The JSON Schema of `report.json`, generated from the types of `values`."""

from __future__ import annotations

from typing import Any

import msgspec

from pytest_grpcstream.report.values import SCHEMA, Report

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def generate_schema() -> dict[str, Any]:
    """The schema of a report."""
    [root], definitions = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    for definition in definitions.values():
        # The docstrings of dataclasses; what follows their first sentence is about code.
        if "description" in definition:
            definition["description"] = definition["description"].partition("\n")[0]
    return {
        "$schema": _DIALECT,
        "title": f"The report of a run of pytest-grpcstream, version {SCHEMA}",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }
