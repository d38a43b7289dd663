"""Frame of the console's pages: templates without scripts, one stylesheet, the headers of every page. All that is shown is escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import jinja2
from jinja2.filters import do_forceescape, do_mark_safe
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from vault.files.plain_text import printable

PREFIX = "/console"
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-XSS-Protection": "0",
    "Vary": "Cookie",
}
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable", "Content-Security-Policy": "default-src 'none'"}
_TYPES = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads to another page of the console."""

    href: str
    text: str


@dataclass(frozen=True)
class Badge:
    """A cell of a table that is told apart by colour and word: ``kind`` is good, bad, off or plain."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True)
class Fact:
    """A number or word, and what it is."""

    value: str
    text: str


@dataclass(frozen=True)
class ConsolePage:
    """A page by its template, which lies in ``templates``, and what it shows."""

    template: str
    title: str
    shown: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Redirection:
    """Another page of the console to go on with; ``said``: a code of a message that it shows."""

    to: str
    said: str = ""


@dataclass(frozen=True)
class Download:
    """Text to be kept as a file."""

    name: str
    text: str


Answer = ConsolePage | Redirection | Download
"""Answer of a page's handler."""


def _asset(name: str) -> tuple[str, bytes, str]:
    """(address, content, type) of a file that ships with the console; its address changes with its content."""
    data = resources.files(__package__).joinpath("static", name).read_bytes()
    stem, _, kind = name.rpartition(".")
    return f"{PREFIX}/static/{stem}-{hashlib.sha256(data).hexdigest()[:16]}.{kind}", data, _TYPES[kind]


STYLE, ICON = _asset("console.css"), _asset("icon.svg")
_ASSETS = {address: (data, kind) for address, data, kind in (STYLE, ICON)}


def asset(request: Request) -> Response:
    """Answer with the stylesheet or the icon, which hold nothing of the vault."""
    found = _ASSETS.get(request.url.path)
    return Response(status_code=404) if found is None else Response(found[0], headers=_KEPT, media_type=found[1])


def html(template: str, status: int = 200, **shown: Any) -> Response:
    """A page as the answer to a request."""
    text = _TEMPLATES.get_template(template).render(style=STYLE[0], icon=ICON[0], prefix=PREFIX, **shown)
    return Response(text, status, _HEADERS, "text/html")


def to(path: str) -> Response:
    """Lead to another page of the console, by GET. ``path``: behind the prefix."""
    return RedirectResponse(PREFIX + path, 303, _HEADERS)


def file(download: Download) -> Response:
    """A file to be kept. Its name is the console's own, never of what is stored."""
    return Response(
        download.text, 200, {**_HEADERS, "Content-Disposition": f'attachment; filename="{download.name}"'}, "text/plain"
    )


def drawn(made: str) -> str:
    """Mark HTML that this program made, with every text in it escaped by ``html_text``: charts, and the risk report."""
    return do_mark_safe(made)  # the one place: nothing that was read from the vault comes here unescaped


def lines(text: str) -> str:
    """Text of several lines, each made printable, escaped."""
    return do_forceescape("\n".join(printable(line) for line in text.split("\n")))


def _shown(value: object) -> object:
    """A value of a template as it is shown: text of others cannot hide or reorder what stands there."""
    return printable(value) if type(value) is str else "" if value is None else value


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__ or __name__, "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(lines=lines)
