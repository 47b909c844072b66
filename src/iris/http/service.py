"""What every route needs: the authority, the keys, the passwords, the rates, and who is asking.

One `Service` belongs to one application. It holds no rule about users: it asks their shard and turns refusals into
problems.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from fastapi import Depends, Request
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from iris.core.catalogue import ErrorCode
from iris.core.ids import user_unit
from iris.core.requests import Auth, CheckToken, Done, Operation, Refused
from iris.core.tokens import LEEWAY_MS, LIFETIME_MS_MAX, issue, validate
from iris.http.authority import Authority
from iris.http.keys import KeyRing
from iris.http.models import AccessAnswer
from iris.http.passwords import Passwords
from iris.http.problems import Problem, answer, expect
from iris.http.rates import Familiar, Rate, RateTable, address_key

_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class ApiSettings:
    """What an operator chooses. Raises ValueError when a value cannot be."""

    version: str = "0"
    registration: Literal["open", "invite", "closed"] = "open"
    home_region: int = 0  # of new users: the first two bytes of their ids
    access_token_ms: int = 3_600_000
    leeway_ms: int = LEEWAY_MS
    fingerprint: Callable[[], str] = str  # of the server's own certificate; "" when it has another one, or none

    def __post_init__(self) -> None:
        if not 1_000 <= self.access_token_ms <= LIFETIME_MS_MAX:
            raise ValueError(f"access_token_ms is 1000 to {LIFETIME_MS_MAX} (24 h)")
        if not 0 <= self.home_region < 1 << 16:
            raise ValueError("home_region is 0 to 65535")
        if self.leeway_ms < 0:
            raise ValueError("leeway_ms is not negative")


@dataclass(frozen=True)
class Service:
    """The parts of an application. `clock` gives ms since 1970; `on_refused` is told the name of every refusal."""

    authority: Authority
    keys: KeyRing
    passwords: Passwords
    settings: ApiSettings
    rates: RateTable
    clock: Callable[[], int]
    on_refused: Callable[[str], None]
    familiar: Familiar

    async def ask(self, unit: bytes, operation: Operation, kind: type[_Kind]) -> _Kind:
        """Ask without a token. Raises Problem when refused."""
        return expect(await self.authority.ask(unit, None, operation), kind)

    async def ask_own(self, auth: Auth, operation: Operation, kind: type[_Kind]) -> _Kind:
        """Ask the asker's own shard, which checks the token. Raises Problem when refused."""
        result = await self.authority.ask(user_unit(auth.user), auth, operation)
        if isinstance(result, Refused) and result.code == ErrorCode.UNKNOWN_USER:
            raise Problem(ErrorCode.TOKEN_REVOKED)  # the account of the token is gone
        return expect(result, kind)

    async def check(self, auth: Auth) -> None:
        """The asker's shard stands by the token. Raises Problem(TOKEN_REVOKED) when it does not."""
        await self.ask_own(auth, CheckToken(), Done)

    def spend(self, rate: Rate, key: str) -> None:
        """Count one. Raises Problem(RATE_LIMITED) when the minute's allowance is used up."""
        wait_ms = self.rates.spend(rate, key, self.clock())
        if wait_ms:
            raise Problem(ErrorCode.RATE_LIMITED, retry_after_ms=wait_ms)

    def access(self, user: bytes, device: int, gen: int) -> AccessAnswer:
        """A new access token."""
        key = self.keys.current
        token, expires_at = issue(
            kid=key.kid,
            key=key.key,
            user=user,
            device=device,
            gen=gen,
            jti=secrets.token_urlsafe(12),
            now_ms=self.clock(),
            lifetime_ms=self.settings.access_token_ms,
        )
        return AccessAnswer(access_token=token, expires_at=expires_at)

    def refuse(self, problem: Problem) -> Response:
        """Count a refusal and make its response."""
        self.on_refused(problem.code.name)
        return answer(problem)


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _address(request: Request) -> str:
    return address_key(request.client.host if request.client else None)


_bearer = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="An access token of POST /v1/sessions or /v1/tokens."
)


async def _auth(
    service: Annotated[Service, Depends(_service)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Auth:
    """The claims of the presented token; whether it was revoked, the shard says when it is asked."""
    if credentials is None:
        raise Problem(ErrorCode.TOKEN_INVALID, "The header Authorization: Bearer and an access token are needed.")
    now_ms, leeway_ms = service.clock(), service.settings.leeway_ms
    verdict = validate(credentials.credentials, service.keys.signing, now_ms, leeway_ms)
    if isinstance(verdict, ErrorCode):
        raise Problem(verdict)
    return verdict


TheService = Annotated[Service, Depends(_service)]
Asker = Annotated[Auth, Depends(_auth)]
Address = Annotated[str, Depends(_address)]
