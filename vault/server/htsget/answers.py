"""Answers of htsget 1.3: tickets, what the service is, and errors in its form.

Whatever depends on data is one 404 here: clients try a 403 again. What an address elsewhere says as a problem of RFC 9457, ``response_at`` says in
htsget's form where the address is of its.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Annotated, Any

from pydantic import Field
from starlette.responses import JSONResponse, Response

from vault.extracts.stream_format import StreamFormat
from vault.server.bodies import Body
from vault.server.problems import HttpProblem

VERSION = "1.3.0"
PATHS = ("/variants", "/blocks")
_UNDESCRIBED = ("403", "415")  # said as 404 and 400 here

_ERRORS = {401: "InvalidAuthentication", 403: "NotFound", 404: "NotFound", 413: "PayloadTooLarge"}
_STATUS = {403: 404, 415: 400}
_TITLES = {404: "there is nothing for this token here", 401: "a valid access token is needed"}


class HtsgetJson(JSONResponse):
    """A body of htsget's."""

    media_type = f"application/vnd.ga4gh.htsget.v{VERSION}+json; charset=utf-8"


class StreamUrl(Body):
    """Address of a block, and what to send along; ``class``: header or body."""

    url: str
    headers: dict[str, str]
    class_: Annotated[str, Field(serialization_alias="class", validation_alias="class")]


class TicketUrls(Body):
    """Blocks in order: one after another they are a file."""

    format: StreamFormat
    urls: list[StreamUrl]


class TicketBody(Body):
    """Ticket of a stream; its one key is what htslib knows it by."""

    htsget: TicketUrls


class ErrorSaid(Body):
    """Kind of an error, and a sentence about it."""

    error: str
    message: str


class ErrorBody(Body):
    """Error of htsget."""

    htsget: ErrorSaid


class HtsgetProblem(HttpProblem):
    """A problem with a name of htsget's own: UnsupportedFormat, InvalidRange and the like."""

    def __init__(self, error: str, title: str, status: int = 400) -> None:
        super().__init__(status, error, title)
        self.error = error


DESCRIBED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": what}
    for status, what in (
        (400, "InvalidInput, InvalidRange or UnsupportedFormat: the question is none."),
        (401, "InvalidAuthentication: a valid access token is needed."),
        (404, "NotFound: refused, whatever the reason, or not there."),
        (405, "This method is not for this address."),
        (408, "The body came too slowly."),
        (413, "PayloadTooLarge: more regions than one ticket takes, or too large a body."),
        (429, "Too many requests."),
        (503, "Sealed, or a store does not answer, or too many streams; nothing was released."),
    )
}


def ticket(text: str, *, kind: StreamFormat, header_only: bool, address: str) -> Response:
    """Ticket with the text of its secret, to be shown to the blocks alone. ``address``: of this server, without a slash at its end."""
    shown = {"Authorization": f"Bearer {text}"}
    blocks = ("header",) if header_only else ("header", "body")
    urls = [{"url": f"{address}/blocks/{number}", "headers": shown, "class": name} for number, name in enumerate(blocks)]
    return HtsgetJson({"htsget": {"format": kind.value, "urls": urls}})


def service_info(address: str) -> dict[str, Any]:
    """GA4GH service-info 1.0 of the service at an address."""
    host = address.partition("://")[2].partition("/")[0]
    name = ".".join(reversed(host.partition(":")[0].strip("[]").split(".")))
    return {
        "id": f"{name}.htsget",
        "name": "Genotypes by consent",
        "type": {"group": "org.ga4gh", "artifact": "htsget", "version": VERSION},
        "description": "De-identified genotypes of those whose consent permits it at the moment of asking, as VCF or BCF.",
        "organization": {"name": host, "url": address},
        "version": "1",
        "htsget": {
            "datatype": "variants",
            "formats": [kind.value for kind in StreamFormat],
            "fieldsParameterEffective": False,
            "tagsParametersEffective": False,
        },
    }


def is_here(path: str) -> bool:
    """True for addresses of htsget's."""
    return any(path == one or path.startswith(f"{one}/") for one in PATHS)


def response_at(path: str, problem: HttpProblem) -> Response:
    """A problem in the form that its address speaks."""
    if not is_here(path):
        return problem.response()
    status = _STATUS.get(problem.status, problem.status)
    fallback = "InvalidInput" if status < 500 else "Unavailable" if status == 503 else "InternalError"
    error = problem.error if isinstance(problem, HtsgetProblem) else _ERRORS.get(status, fallback)
    said = {"error": error, "message": _TITLES.get(status, problem.title)}
    return HtsgetJson({"htsget": said}, status, problem.headers)


def describe(document: MutableMapping[str, Any]) -> None:
    """Take out of an OpenAPI document what no address of htsget's says."""
    for path, operations in document["paths"].items():
        for operation in operations.values() if is_here(path) else ():
            for status in _UNDESCRIBED:
                operation["responses"].pop(status, None)
            if path.startswith("/blocks/"):
                operation["responses"]["200"]["content"].pop(HtsgetJson.media_type, None)  # it is completed at each question
