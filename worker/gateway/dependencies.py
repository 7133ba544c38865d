"""What every route needs, and who may use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bcd_model.weights import WeightsInfo
from worker.gateway.access import Grants
from worker.gateway.limits import Locks, Rates, Slots, Turns
from worker.gateway.problems import ProblemError, not_found
from worker.gateway.storage.folders import Folders
from worker.gateway.tokens import Token, Tokens
from worker.gateway.upload.inspector import Inspector
from worker.queue.job import Record
from worker.queue.messages import Messages
from worker.queue.records import Records
from worker.queue.regions import Regions
from worker.settings import Settings

_bearer = HTTPBearer(auto_error=False, description="a token of 'bcd-admin token create'")


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway.

    Attributes:
        inspector: looks through uploads.
        turns: threads for what follows an upload, so that they do not keep the others from answering.
        deciding: by job; held while it is begun, or ended because only one token waits for it: what was seen
            must still be so.
    """

    settings: Settings
    records: Records
    messages: Messages
    weights: WeightsInfo
    folders: Folders
    grants: Grants
    tokens: Tokens
    rates: Rates
    slots: Slots
    inspector: Inspector
    regions: Regions
    turns: Turns
    deciding: Locks = field(default_factory=Locks)

    def record(self, job: str, token: Token) -> Record:
        """The record of a job that ``token`` may see.

        Raises:
            ProblemError: 404: there is none.
        """
        found = self.listing([job], token) if self.grants.has(token.id, job) else []
        if not found:
            raise not_found()
        return found[0]

    def listing(self, jobs: Sequence[str], token: Token) -> list[Record]:
        """The records of ``jobs``; those that have none any more are forgotten."""
        found = self.records.listing(jobs)
        self.grants.drop(token.id, sorted(set(jobs) - {record.job_id for record in found}))
        return found

    def waits_alone(self, record: Record, token: Token) -> bool:
        """Whether only ``token`` waits for a job: no other token does, and not the command line."""
        others = [other.id for other in self.tokens.all() if other.id != token.id]
        ours = record.refused or record.outs == (self.folders.result_root(record.job_id),)
        return ours and not self.grants.shared(record.job_id, others)


def gateway(request: Request) -> Gateway:
    """The gateway that answers."""
    found: Gateway = request.app.state.gateway
    return found


async def token(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Token:
    """Whose request this is.

    Raises:
        ProblemError: 401: no token, or one that is not known; 429: there were too many.
    """
    here = gateway(request)
    found = here.tokens.identify(given.credentials) if given is not None else None
    if found is None:
        detail = (
            "a token is needed: Authorization: Bearer TOKEN" if given is None else "the token is not known"
        )
        raise ProblemError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="bcd"'})
    request.state.token = found.name
    here.rates.spend(found.id)
    return found


Here = Annotated[Gateway, Depends(gateway)]
Whose = Annotated[Token, Depends(token)]
