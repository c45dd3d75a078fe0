"""The capabilities of a target: optional features, working baseline exchanges, and whether its Route speaks first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FEATURES: Final = ("abort", "finish", "repeat", "echo", "sleep", "watch", "metadata")
"""The optional features of a StreamService, by the names that `docs/contract.md` gives them."""

EXCHANGES: Final = {
    "list": "a List that answers a plain name",
    "record": "a Record that answers a plain request",
    "route": "a Route that answers after the half-close",
    "duplex": "a Route that answers before the half-close",
}
"""The baseline exchanges through which other requirements are observed, each with its description."""

FAILED_BASELINE_TIMEOUT: Final = 1.0
"""Seconds that one operation may take on a target that fails every baseline exchange.

The target fails in any case; waiting for hundreds of full timeouts would only delay the verdict.
"""


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a target, found by probing or declared.

    Attributes:
        features: the optional features that the target has, or was declared to have.
        declared: whether the features were declared instead of probed.
        route_speaks_first: whether its Route sends a response before it has read a request.
        failed_exchanges: the baseline exchanges (`EXCHANGES`) that the target cannot do, each with the reason. A
            requirement that is observed by one of them is inconclusive.
    """

    features: frozenset[str]
    declared: bool
    route_speaks_first: bool
    failed_exchanges: Mapping[str, str]

    @property
    def working_exchanges(self) -> frozenset[str]:
        """The baseline exchanges that the target can do."""
        return frozenset(EXCHANGES).difference(self.failed_exchanges)

    def __str__(self) -> str:
        present = ", ".join(name for name in FEATURES if name in self.features) or "none"
        missing = ", ".join(name for name in FEATURES if name not in self.features)
        return (
            f"features {'declared' if self.declared else 'found'}: {present}"
            f"{f'; without: {missing}' if missing else ''}{'; Route speaks first' if self.route_speaks_first else ''}"
        )
