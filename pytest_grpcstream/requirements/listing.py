"""Prints the requirements of the suite (--grpcstream-list), without a target."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_grpcstream.capabilities import FEATURES
from pytest_grpcstream.errors import SettingError
from pytest_grpcstream.requirements.registry import AREAS, Requirement, registry
from pytest_grpcstream.requirements.spec_links import links


def listed(text: str) -> Iterator[str]:
    """Lines about the requirements that fit every word of a filter; all of them if it is empty.

    Arguments:
        text: words with commas between them: areas, ids, severities, levels, owners, features, or any other word, which
            must be in the sentence. Capital and small letters are the same.

    Raises:
        SettingError: nothing fits.
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    found = [one for one in registry().values() if all(_fits(one, word) for word in words)]
    if not found:
        raise SettingError(
            f"No requirement fits {text!r}; valid are areas ({', '.join(AREAS)}), ids, "
            f"severities (error, warning, info), levels (MUST, SHOULD, MAY), owners, features ({', '.join(FEATURES)}) "
            "and words of the sentence, with commas between them"
        )
    area = ""
    for one in found:
        if one.area != area:
            area = one.area
            yield f"{AREAS[area]}:"
        needs = f"; needs {', '.join(one.needs)}" if one.needs else ""
        kind = f"; only by {one.only}" if one.only else ""
        yield f"  {one.id}: {one.sentence}"
        yield f"      {one.severity}; {one.level} ({one.owner}){needs}{kind}; {one.source}"
        yield from (f"      {link}" for link in links(one.source))
    yield f"{len(found)} of {len(registry())} requirements"


def _fits(one: Requirement, word: str) -> bool:
    exact = {one.id.lower(), one.area.lower(), one.severity, one.level.lower(), one.owner.lower(), one.only, *one.needs}
    known = {*map(str.lower, AREAS), "error", "warning", "info", "must", "should", "may", *FEATURES}
    return word in exact if word in known else word in exact or word in one.sentence.lower()
