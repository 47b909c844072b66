"""Refusals of the API: RFC 9457 problem documents, every one of them from the catalogue.

A handler raises `Problem`; `answer` turns it into the response. What a client reads is the catalogue's meaning, the
shard's detail, and the names of wrong fields: never what the client sent, and never a word of an exception.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from fastapi.responses import Response
from pydantic import BaseModel, Field

from iris.core.catalogue import ERRORS, ErrorCode
from iris.core.requests import Refused, Result

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_MS = 1_000  # where a shard names none
_FIELDS_MAX = 20  # wrong fields named in one answer
_FIELD_LENGTH_MAX = 100


class FieldFault(NamedTuple):
    """A field of the request and what is wrong with it."""

    field: str
    message: str


class Problem(Exception):
    """A request is refused. `detail` and `faults` must not hold what the client sent."""

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        *,
        retry_after_ms: int = 0,
        faults: Sequence[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(ERRORS[code].name)
        self.code = code
        self.detail = detail
        self.retry_after_ms = retry_after_ms
        self.faults = tuple(faults[:_FIELDS_MAX])
        self.headers = dict(headers or {})


class WrongAnswer(Exception):
    """A shard answered with something this question cannot have: a mistake of ours, told as INTERNAL."""


_Kind = TypeVar("_Kind")


def expect(result: Result, kind: type[_Kind]) -> _Kind:
    """`result` when it is a `kind`. Raises Problem when the shard refused, WrongAnswer when it is something else."""
    if isinstance(result, kind):
        return result
    if isinstance(result, Refused):
        raise refused(result)
    raise WrongAnswer(f"asked for {kind.__name__}, got {type(result).__name__}")


def refused(result: Refused) -> Problem:
    """The problem of a shard's refusal."""
    try:
        code = ErrorCode(result.code)
    except ValueError:
        raise WrongAnswer(f"error {result.code} is not in the catalogue") from None
    if ERRORS[code].http is None:
        raise WrongAnswer(f"{code.name} is no answer to an HTTP request")
    return Problem(code, result.detail, retry_after_ms=result.retry_after_ms)


def answer(problem: Problem) -> Response:
    """The response of a problem."""
    info = ERRORS[problem.code]
    status = info.http or 500
    body: dict[str, object] = {
        "type": f"urn:iris:error:{info.name}",
        "title": info.name,
        "status": status,
        "code": info.code,
        "detail": problem.detail or info.meaning,
    }
    headers = dict(problem.headers)
    if info.retry == "after":
        wait_ms = max(problem.retry_after_ms, 0) or _RETRY_AFTER_MS
        body["retry_after_ms"] = wait_ms
        headers["Retry-After"] = str(-(-wait_ms // 1000))
    if problem.faults:
        body["errors"] = [{"field": _shown(f.field), "message": _shown(f.message)} for f in problem.faults]
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="iris"'
    # ASCII only: a name with half a surrogate pair in it must not break the answer.
    return Response(json.dumps(body, separators=(",", ":")), status, headers, MEDIA_TYPE)


def _shown(text: str) -> str:
    return text if len(text) <= _FIELD_LENGTH_MAX else text[: _FIELD_LENGTH_MAX - 1] + "…"


class WrongField(BaseModel):
    """A field that was refused."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """Why a request was refused (RFC 9457). `title` names a row of the error catalogue and `code` is its number."""

    type: str = Field(examples=["urn:iris:error:RATE_LIMITED"])
    title: str
    status: int
    code: int
    detail: str
    retry_after_ms: int | None = None
    errors: list[WrongField] | None = None


ANYWHERE = (
    ErrorCode.INVALID_REQUEST,
    ErrorCode.REQUEST_TOO_LARGE,
    ErrorCode.OVERLOADED,
    ErrorCode.INTERNAL,
)  # what every route may answer
WITH_TOKEN = (ErrorCode.TOKEN_INVALID, ErrorCode.TOKEN_EXPIRED, ErrorCode.TOKEN_REVOKED)


def documented(*codes: ErrorCode) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with `codes`, and with what every route may answer."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in (*codes, *ANYWHERE):
        info = ERRORS[code]
        assert info.http is not None, f"{info.name} is no answer to an HTTP request"
        example = {
            "type": f"urn:iris:error:{info.name}",
            "title": info.name,
            "status": info.http,
            "code": info.code,
            "detail": info.meaning,
        }
        row = found.setdefault(
            info.http, {"description": "", "content": {MEDIA_TYPE: {"schema": _SCHEMA, "examples": {}}}}
        )
        row["content"][MEDIA_TYPE]["examples"][info.name] = {"summary": info.meaning, "value": example}
        row["description"] = ", ".join(row["content"][MEDIA_TYPE]["examples"])
        if info.retry == "after":
            row["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
        if info.http == 401:
            row["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return found


_SCHEMA = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
