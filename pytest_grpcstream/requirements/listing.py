"""The text of --grpcstream-list: the requirements of the suite. It needs no target."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_grpcstream.capabilities import FEATURES
from pytest_grpcstream.errors import SettingError
from pytest_grpcstream.requirements.registry import AREAS, Requirement, registry
from pytest_grpcstream.requirements.spec_links import links


def list_requirements(text: str) -> Iterator[str]:
    """Yield lines about the requirements that match every word of a filter; all requirements if it is empty.

    Arguments:
        text: words separated by commas: areas, ids, severities, levels, owners or features. Any other word must occur
            in the sentence. Case does not matter.

    Raises:
        SettingError: No requirement matches.
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    found = [one for one in registry().values() if all(_matches(one, word) for word in words)]
    if not found:
        raise SettingError(
            f"No requirement matches {text!r}; valid words, separated by commas, are areas ({', '.join(AREAS)}), ids, "
            "severities (error, warning, info), levels (MUST, SHOULD, MAY), owners, "
            f"features ({', '.join(FEATURES)}) and words of the sentence"
        )
    area = ""
    for one in found:
        if one.area != area:
            area = one.area
            yield f"{AREAS[area]}:"
        features = f"; requires {', '.join(one.features)}" if one.features else ""
        kind = f"; only with {one.only.upper()}" if one.only else ""
        yield f"  {one.id}: {one.sentence}"
        yield f"      {one.severity}; {one.level} ({one.owner}){features}{kind}; {one.source}"
        yield from (f"      {link}" for link in links(one.source))
    yield f"{len(found)} of {len(registry())} requirements"


def _matches(one: Requirement, word: str) -> bool:
    exact = {
        one.id.lower(),
        one.area.lower(),
        one.severity,
        one.level.lower(),
        one.owner.lower(),
        one.only,
        *one.features,
    }
    known = {*map(str.lower, AREAS), "error", "warning", "info", "must", "should", "may", *FEATURES}
    return word in exact if word in known else word in exact or word in one.sentence.lower()
