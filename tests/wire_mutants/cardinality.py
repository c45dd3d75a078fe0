"""Mutants that accept a List with no request or with several."""

from __future__ import annotations

import os

from wire_mutants.base import Mutant
from wire_servers.call import Call
from wire_servers.envelopes import OK, StatusFault
from wire_servers.headers import Fields
from wire_servers.service import Service


class _WithoutRequest(Service):
    """Treats a List without a request in its own way."""

    async def list(self, call: Call) -> None:
        """Serve a List that has a request."""
        try:
            await super().list(call)
        except StatusFault as fault:
            if not fault.message.endswith("there was none"):
                raise
            await self.nothing(call)

    async def nothing(self, call: Call) -> None:
        """Serve a List without a request."""
        raise NotImplementedError


class ListWithoutRequestIsOk(Mutant, _WithoutRequest):
    """A List without a request ends with OK and no response."""

    killed_by = "CARD-1"

    async def nothing(self, call: Call) -> None:
        """Send nothing."""
        raise StatusFault(OK, "")


class ListWithoutRequestIsAnswered(Mutant, _WithoutRequest):
    """A List without a request is answered as if it had an empty point."""

    killed_by = "CARD-1"

    async def nothing(self, call: Call) -> None:
        """Send the usual number of responses."""
        await self.series(call, "", 0, self.LIST_RESPONSES)


class ListWithoutRequestHangs(Mutant, _WithoutRequest):
    """A List without a request is never answered."""

    killed_by = "CARD-1"
    also = frozenset({"EOF-4"})  # one of its requests is such a List
    warned = True

    async def nothing(self, call: Call) -> None:
        """Wait for a request, although none can follow."""
        await call.forever()


class ExitsOnListWithoutRequest(Mutant, _WithoutRequest):
    """The process exits on a List without a request."""

    killed_by = "CARD-1"
    also = frozenset({"EOF-4"})  # one of its requests is such a List

    async def nothing(self, call: Call) -> None:
        """Exit."""
        os._exit(134)


class LastListRequestCounts(Mutant, Call):
    """Of several requests of a List, the last one is answered."""

    killed_by = "CARD-2"

    async def receive(self) -> bytes | None:
        """The next request; on List, the last."""
        message = await super().receive()
        while self.request.path.endswith(b"List") and (more := await super().receive()) is not None:
            message = more
        return message


class EveryListRequestIsAnswered(Mutant, Service):
    """A List with two requests gets the responses to both, and ends with OK."""

    killed_by = "CARD-2"
    LIST_AT_ONCE = True

    async def list(self, call: Call) -> None:
        """Serve one request, and another if there is one."""
        await super().list(call)
        try:
            await super().list(call)
        except StatusFault as fault:
            if not fault.message.endswith("there was none"):
                raise


class SecondListRequestHangs(Mutant, Call):
    """A List with two requests is never answered."""

    killed_by = "CARD-2"
    count = 0

    async def receive(self) -> bytes | None:
        """The next request; on List, wait for the end after a second one."""
        message = await super().receive()
        self.count += message is not None
        if self.count > 1 and self.request.path.endswith(b"List"):
            await self.forever()
        return message


class SecondListRequestIsPermissionDenied(Mutant, Call):
    """A List with two requests ends with PERMISSION_DENIED, which misleads the caller."""

    killed_by = "CARD-2"
    warned = True

    def trailers(self, code: int, message: str) -> Fields:
        """The trailers, with another code for two requests."""
        return super().trailers(7 if message.endswith("there was another") else code, message)
