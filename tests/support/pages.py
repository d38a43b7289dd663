"""Pages of the console as a program reads them: their links and forms, and a visitor that follows them without a browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

from tests.support import consoles
from tests.support.consoles import Desk

SAME = {"sec-fetch-site": "same-origin"}


@dataclass
class PageForm:
    """A form: where it goes, by which method, its fields as they stand there, and the words of its buttons."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class ReadPage(HTMLParser):
    """What a page consists of. ``tags``: how often each element is there; ``handlers``: attributes that would run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[PageForm] = []
        self.tags: dict[str, int] = {}
        self.handlers: list[str] = []
        self.title, self.heading = "", ""
        self._open: list[str] = []
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.handlers += [name for name in said if name.startswith("on") or name == "style"]
        self._open.append(tag)
        if tag in ("a", "link") and "href" in said:
            self.links.append(said["href"])
        elif tag == "form":
            self.forms.append(PageForm(said.get("action", ""), said.get("method", "get").lower()))
        elif tag in ("input", "textarea") and self.forms and "name" in said:
            if said.get("type") not in ("checkbox", "radio") or "checked" in said:
                self.forms[-1].fields[said["name"]] = said.get("value", "")
        elif tag == "select" and self.forms:
            self._select = said["name"]
        elif tag == "option" and self._select:
            held = self.forms[-1].fields
            if self._select not in held or "selected" in said:
                held[self._select] = said.get("value", "\0")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        at = self._open[-1] if self._open else ""
        if at == "title":
            self.title += data
        elif "h1" in self._open:
            self.heading += data
        elif at == "button" and self.forms and self.forms[-1].buttons:
            self.forms[-1].buttons[-1] += data
        elif at == "option" and self._select and self.forms[-1].fields.get(self._select) == "\0":
            self.forms[-1].fields[self._select] = data

    def form(self, button: str, action: str = "") -> PageForm:
        """The one form with this button, to an address that ends so."""
        (found,) = [one for one in self.forms if button in one.buttons and one.action.endswith(action)]
        return found


@dataclass
class Visitor:
    """Somebody who is logged in."""

    client: httpx.Client

    def read(self, path: str) -> ReadPage:
        """A page that is there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return ReadPage(answer.text)

    @property
    def token(self) -> str:
        """Token of this session's forms."""
        return ReadPage(self.client.get("/console/requests").text).form("Log out").fields["token"]

    def send(self, form: PageForm, filled: Mapping[str, str] = {}, **headers: str) -> httpx.Response:
        """Answer to a form, filled in; sent from the console itself unless the headers say otherwise."""
        return self.client.post(form.action, data=form.fields | dict(filled), headers=headers or SAME)


@contextmanager
def visitor(desk: Desk, who: str) -> Iterator[Visitor]:
    """Somebody in a session of their own, without a browser; who has no passphrase comes by their token."""
    with httpx.Client(base_url=desk.url, timeout=120) as client:
        proof = {"access_token": desk.tokens[who]} if who in desk.tokens else {"name": who, "passphrase": consoles.WHO[who]}
        answer = client.post("/console/login", data=proof, headers=SAME)
        assert answer.status_code == 303, answer.text
        yield Visitor(client)
        client.post("/console/logout", data={"token": ""}, headers=SAME)
