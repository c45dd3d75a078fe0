"""Checks a document by a JSON Schema: the part of draft 2020-12 that `schema.json` is written in, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}
_ABOUT: Final = frozenset({"$schema", "$defs", "title"})


class Validator:
    """Finds what is wrong with documents.

    Arguments:
        schema: the whole schema; references lead into its ``$defs``.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._rules: Final[dict[str, Callable[[Any, Any, str, Mapping[str, Any]], Iterator[str]]]] = {
            "$ref": self._reference,
            "additionalProperties": self._additional,
            "anyOf": self._any,
            "const": lambda given, value, place, _: _unless(_same(value, given), place, f"is not {given!r}"),
            "enum": self._enum,
            "items": self._items,
            "minimum": self._minimum,
            "pattern": self._pattern,
            "properties": self._properties,
            "required": self._required,
            "type": self._type,
        }

    def problems(self, document: object) -> Iterator[str]:
        """What is wrong, each with its place; nothing if the document is valid.

        Raises:
            ValueError: the schema has a keyword that is not known here.
        """
        return self._check(self._schema, document, "")

    def _check(self, schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
        for keyword, given in schema.items():
            if keyword in self._rules:
                yield from self._rules[keyword](given, value, place, schema)
            elif keyword not in _ABOUT:
                raise ValueError(f"the keyword {keyword!r} is not known")

    def _reference(self, given: str, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        yield from self._check(self._schema["$defs"][given.removeprefix("#/$defs/")], value, place)

    def _any(self, given: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        fits = any(not list(self._check(one, value, place)) for one in given)
        yield from _unless(fits, place, "is none of what is allowed")

    def _enum(self, given: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        yield from _unless(any(_same(value, one) for one in given), place, f"is none of {', '.join(map(str, given))}")

    def _type(self, given: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        names = [given] if isinstance(given, str) else given
        yield from _unless(any(_TYPES[name](value) for name in names), place, f"is no {' or '.join(names)}")

    def _minimum(self, given: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        # A number that is none (NaN) is not below, but not above either.
        yield from _unless(not _TYPES["number"](value) or value >= given, place, f"is not {given} or more")

    def _pattern(self, given: str, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        # `$` of Python also stands before a line break at the end.
        fits = not isinstance(value, str) or re.search(given.replace("$", r"\Z"), value)
        yield from _unless(bool(fits), place, f"does not fit {given}")

    def _required(self, given: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (f"{place or 'the document'} has no {name!r}" for name in given if name not in value)

    def _properties(self, given: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        if isinstance(value, dict):
            for name, schema in given.items():
                if name in value:
                    yield from self._check(schema, value[name], f"{place}.{name}".lstrip("."))

    def _additional(self, given: Any, value: Any, place: str, schema: Mapping[str, Any]) -> Iterator[str]:
        if isinstance(value, dict):
            for name in value.keys() - schema.get("properties", {}).keys():
                yield from self._check(given, value[name], f"{place}.{name}".lstrip("."))

    def _items(self, given: Any, value: Any, place: str, _: Mapping[str, Any]) -> Iterator[str]:
        if isinstance(value, list):
            for number, one in enumerate(value):
                yield from self._check(given, one, f"{place}[{number}]")


def _same(value: object, other: object) -> bool:
    """Whether two values are the same in JSON, where true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _unless(fits: bool, place: str, problem: str) -> Iterator[str]:
    if not fits:
        yield f"{place or 'the document'} {problem}"
