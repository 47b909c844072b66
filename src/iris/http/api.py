"""The application: routes, gate, and one form for every refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from iris.core.catalogue import ErrorCode, Limits
from iris.http import accounts, contacts, devices, hello, people, sessions
from iris.http.authority import Authority
from iris.http.gate import Gate
from iris.http.keys import KeyRing
from iris.http.passwords import Passwords
from iris.http.problems import FieldFault, Problem, ProblemDocument
from iris.http.rates import Familiar, RateTable
from iris.http.service import ApiSettings, Service
from iris.http.web import Web, WebFile

_ROUTERS = (accounts.router, sessions.router, devices.router, contacts.router, people.router, hello.router)
_DESCRIPTION = (
    "Accounts, sessions, devices, contacts and blocks. Messages go by WebSocket, at /v1/connect (docs/protocol.md). "
    "User ids are 26 letters of Crockford base32; times are milliseconds since 1970. Every refusal is an "
    "application/problem+json document whose title is a row of the error catalogue."
)


def create_api(
    *,
    authority: Authority,
    keys: KeyRing,
    passwords: Passwords,
    settings: ApiSettings,
    limits: Limits,
    clock: Callable[[], int],
    on_refused: Callable[[str], None] = lambda name: None,
    web: Mapping[str, WebFile] | None = None,
) -> FastAPI:
    """The API as an ASGI application.

    clock: ms since 1970. on_refused: called with the catalogue name of every refusal (iris_http_refused_total).
    web: the files of the web client; empty: `/` says how to build it; None: `/` is no address.
    `app.state.service.rates.rows` is iris_http_rate_rows, `passwords.waiting` is iris_http_hashes_waiting.
    """
    familiar = Familiar(limits.rate_table_rows_max)
    service = Service(authority, keys, passwords, settings, RateTable(limits), clock, on_refused, familiar)
    app = FastAPI(
        title="Iris",
        version=settings.version,
        description=_DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # they load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        # It would keep bodies, passwords among them, for whatever exporter the environment names.
        telemetry={
            "tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False,
        },
    )  # fmt: skip
    app.state.service = service
    for router in _ROUTERS:
        app.include_router(router)
    if web is not None:
        app.add_middleware(Web, files=web)
    app.add_middleware(Gate, service=service, limits=limits)
    _answer_problems(app, service)
    _complete_openapi(app)
    return app


def _answer_problems(app: FastAPI, service: Service) -> None:
    @app.exception_handler(Problem)
    async def problem_of_route(request: Request, problem: Problem) -> Response:
        return service.refuse(problem)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return service.refuse(Problem(ErrorCode.INVALID_REQUEST, faults=[_fault(fault) for fault in error.errors()]))

    @app.exception_handler(HTTPException)
    async def of_the_framework(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            problem = Problem(ErrorCode.NOT_FOUND)
        elif error.status_code == 405:
            problem = Problem(ErrorCode.METHOD_NOT_ALLOWED, headers={"Allow": _methods_at(request.url.path)})
        elif error.status_code < 500:
            problem = Problem(ErrorCode.INVALID_REQUEST)
        else:
            problem = Problem(ErrorCode.INTERNAL)
        return service.refuse(problem)


def _methods_at(path: str) -> str:
    found = {
        method
        for router in _ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path_regex.match(path)
        for method in route.methods or ()
    }
    return ", ".join(sorted(found or {"GET"}))  # only openapi.json is not in a router


def _fault(error: dict[str, Any]) -> FieldFault:
    where, *path = error["loc"]
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "json_invalid":
        return FieldFault("body", "not JSON")
    return FieldFault(".".join(str(step) for step in path) or str(where), message)


def _complete_openapi(app: FastAPI) -> None:
    """Add the problem document, which routes name by reference, to the schemas."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas = schema["components"]["schemas"]
            schemas.update(problem.pop("$defs", {}))
            schemas[ProblemDocument.__name__] = problem
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
