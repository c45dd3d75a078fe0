"""The check by the schema finds what is wrong, and where."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_grpcstream.report.document import SCHEMA
from pytest_grpcstream.report.validation import Validator

from pytest_grpcstream.report.files import EVIDENCE
from pytest_grpcstream.report.reader import SCHEMA as READ
from pytest_grpcstream.report.reader import schema
from pytest_grpcstream.settings import CLIENTS, FEATURES
from pytest_grpcstream.verdicts.results import VERDICTS
from reports.documents import made

PLACE = "the document"


@pytest.mark.parametrize(
    ("rules", "value", "problems"),
    [
        ({"type": "integer"}, True, [f"{PLACE} is no integer"]),
        ({"type": ["integer", "null"]}, None, []),
        ({"type": ["integer", "null"]}, 1.5, [f"{PLACE} is no integer or null"]),
        ({"const": 1}, True, [f"{PLACE} is not 1"]),
        ({"enum": ["a", "b"]}, "c", [f"{PLACE} is none of a, b"]),
        ({"minimum": 0}, -1, [f"{PLACE} is not 0 or more"]),
        ({"minimum": 0}, "text", []),
        ({"pattern": "^a$"}, "a\n", [f"{PLACE} does not fit ^a$"]),
        ({"pattern": "^a$"}, "a", []),
        ({"anyOf": [{"type": "null"}, {"minimum": 3}]}, 2, [f"{PLACE} is none of what is allowed"]),
        ({"items": {"type": "string"}}, ["a", 1, None], ["[1] is no string", "[2] is no string"]),
        ({"required": ["a", "b"]}, {"a": 1}, [f"{PLACE} has no 'b'"]),
        ({"properties": {"a": {"items": {"required": ["b"]}}}}, {"a": [{}]}, ["a[0] has no 'b'"]),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "null"}}, {"a": 1, "b": 2}, ["b is no null"]),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}, 1, [f"{PLACE} is no null"]),
    ],
)
def test_each_rule_finds_what_breaks_it(rules: dict[str, Any], value: object, problems: list[str]) -> None:
    """With the place of it in the document."""
    assert list(Validator(rules).problems(value)) == problems


def test_a_rule_that_is_not_known_is_an_error() -> None:
    """It would otherwise hold for everything."""
    with pytest.raises(ValueError, match="'maxLength' is not known"):
        list(Validator({"maxLength": 1}).problems("x"))


def test_the_schema_has_the_words_of_the_package() -> None:
    """They are kept in one place, and the schema is a copy of them."""
    text = schema()
    assert set(text["$defs"]["verdict"]["enum"]) == set(text["properties"]["counts"]["required"]) == set(VERDICTS)
    assert set(text["$defs"]["client"]["enum"]) == set(CLIENTS)
    assert set(text["properties"]["target"]["properties"]["features"]["items"]["enum"]) == set(FEATURES)
    assert text["properties"]["schema"] == {"const": SCHEMA}
    assert READ == SCHEMA
    names = "|".join(text["$defs"]["test"]["properties"][kind]["pattern"][1:-1] for kind in ("timeline", "pcap"))
    assert EVIDENCE.pattern == names


@pytest.mark.parametrize("exit_code", [None, 0, 1, 2])
def test_a_document_is_valid_at_any_time(exit_code: int | None) -> None:
    """Before the first test, and with every verdict."""
    every = [("ORD-1", verdict, "\ud800 \x00") for verdict in VERDICTS]
    for report in (made(exit_code=exit_code), made(*every, exit_code=exit_code)):
        assert list(Validator(schema()).problems(report)) == []
