"""Questions of htsget 1.3, read strictly: what is no question is said to everybody, before anything is looked up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request

from policies.loci import END
from vault.access.stream_tickets import StreamAsked
from vault.extracts.stream_format import StreamFormat
from vault.server.bodies import Body
from vault.server.htsget.answers import HtsgetProblem

MOST_REGIONS = 1_000  # of one ticket
LARGEST = (1 << 32) - 1  # a position of htsget's is 32 bits without a sign
PARAMETERS = ("format", "class", "referenceName", "start", "end", "fields", "tags", "notags")
IN_QUERY = {"parameters": [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in PARAMETERS]}
"""The parameters for an OpenAPI document."""

_REFERENCE = re.compile(r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]{0,99}")  # SAM specification §1.2.1
_DIGITS = re.compile(r"[0-9]{1,10}")

Texts = Annotated[Sequence[Annotated[str, Field(max_length=100)]], Field(max_length=1_000)]
Position = Annotated[int, Field(ge=0, le=LARGEST)]


class RegionAsked(Body):
    """Region, counted from 0, its end left out."""

    referenceName: Annotated[str, Field(max_length=100)]  # noqa: N815 - as the specification spells it
    start: Position | None = None
    end: Position | None = None


class RegionsAsked(Body):
    """Question as a body: regions are a union; without any, all that the address has."""

    format: Annotated[str, Field(max_length=20)] = "VCF"
    class_: Annotated[Literal["header"] | None, Field(alias="class")] = None
    fields: Texts = ()
    tags: Texts = ()
    notags: Texts = ()
    regions: list[RegionAsked] | None = None


def of_query(request: Request, project: str, dataset: str, panel: str | None) -> StreamAsked:
    """The question in an address.

    Raises:
        HtsgetProblem: ``InvalidInput``, ``UnsupportedFormat``, ``InvalidRange``.
    """
    given = request.query_params.multi_items()
    values = dict(given)
    if len(values) < len(given) or not set(values) <= set(PARAMETERS):
        raise _invalid(f"the parameters are {', '.join(PARAMETERS)}, each once")
    kind = _format(values.get("format", "VCF"))
    if "class" in values:
        if values["class"] != "header":
            raise _invalid("class is header, or left out")
        if set(values) - {"class", "format"}:
            raise _invalid("beside class=header there is format alone")
    tags, without = (values[name].split(",") if name in values else [] for name in ("tags", "notags"))
    _require_apart(tags, without)
    name = values.get("referenceName")
    start, end = (_position(values[at]) if at in values else None for at in ("start", "end"))
    if name is None and (start is not None or end is not None):
        raise _invalid("start and end need a referenceName")
    if start is not None and end is not None and start > end:
        raise HtsgetProblem("InvalidRange", "start lies behind end")
    regions = () if name is None else (_region(name, start, end),)
    return StreamAsked(project, dataset, panel, regions, kind, "class" in values)


def of_body(request: Request, asked: RegionsAsked, project: str, dataset: str, panel: str | None) -> StreamAsked:
    """The question in a body.

    Raises:
        HtsgetProblem: ``InvalidInput``, ``UnsupportedFormat``, ``InvalidRange``, ``PayloadTooLarge``.
    """
    if request.url.query:
        raise _invalid("a question in a body has no parameters in its address")
    kind = _format(asked.format)
    given = asked.model_fields_set
    if "class_" in given and given - {"class_", "format"}:
        raise _invalid("beside class there is format alone")
    _require_apart(asked.tags, asked.notags)
    if asked.regions is not None and not asked.regions:
        raise _invalid("regions are some, or left out")
    if len(asked.regions or ()) > MOST_REGIONS:
        raise HtsgetProblem("PayloadTooLarge", f"a ticket is for at most {MOST_REGIONS:,} regions", 413)
    regions = []
    for one in asked.regions or ():
        if one.start is not None and one.end is not None and one.start >= one.end:
            raise HtsgetProblem("InvalidRange", "start lies not before end")
        regions.append(_region(one.referenceName, one.start, one.end))
    return StreamAsked(project, dataset, panel, tuple(regions), kind, asked.class_ is not None)


def _format(text: str) -> StreamFormat:
    try:
        return StreamFormat(text)
    except ValueError:
        raise HtsgetProblem("UnsupportedFormat", "variants are VCF or BCF") from None


def _position(text: str) -> int:
    if not _DIGITS.fullmatch(text) or int(text) > LARGEST:
        raise _invalid("start and end are numbers of 32 bits, counted from 0")
    return int(text)


def _region(name: str, start: int | None, end: int | None) -> str:
    """The region as people type it. No record lies behind ``END``; an empty range is the base that it stands before."""
    if not _REFERENCE.fullmatch(name):
        raise _invalid("a referenceName is a name of the SAM specification; * is for reads")
    first = min((start or 0) + 1, END)
    last = "" if end is None else max(first, min(end, END))
    return f"{name}:{first}-{last}"


def _require_apart(tags: Sequence[str], without: Sequence[str]) -> None:
    if not set(tags).isdisjoint(without):
        raise _invalid("tags and notags name the same tag")


def _invalid(message: str) -> HtsgetProblem:
    return HtsgetProblem("InvalidInput", message)
