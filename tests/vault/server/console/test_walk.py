"""Every link and form of every page, for everybody: followed until nothing new turns up, and each answer is a page that holds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import httpx
import pytest

from policies.token_scopes import TokenScope
from tests.support import console_work, consoles, pages, served
from tests.support.pages import PageForm, ReadPage, Visitor
from tests.support.vaults import opened
from vault.server.console import frame, routes

pytestmark = pytest.mark.long  # some minutes: each page of each kind, and each form seven times

WHO = ("ann", "bob", "auditor", "rita")
MOST_OF_A_KIND = 2  # addresses that differ in numbers, ids or values alone
KEPT = {"/console/logout"}  # would end the walk
BEHIND_A_FORM = [  # on pages that answer a form, or of files: test_second_stewards, test_exact_tables, test_downloads
    ("/console/waiting/merges/merge", ["POST"]),
    ("/console/waiting/merges/take-back", ["POST"]),
    ("/console/projects/{code}/tables/approve", ["POST"]),
    ("/console/downloads/{release}/{name}", ["GET", "HEAD"]),
]
LED_TO_BY_THE_SERVER = {"/console", "/console/login", "/console/", "/console/log/{number}/entry.tlog-proof"}


@dataclass
class Walk:
    """What somebody came by: pages by address, files, and the forms of each kind with the page that they are on."""

    read: dict[str, ReadPage] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    forms: dict[object, tuple[str, PageForm]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walked")
    vault, _ = consoles.staffed(folder)
    console_work.bring(vault)
    consoles.worked(vault, folder)
    with pytest.MonkeyPatch.context() as patch:
        consoles.impatient(patch)
        with consoles.running(vault) as it:
            with opened(vault) as s:
                scopes = TokenScope.READ, TokenScope.REQUEST, TokenScope.DOWNLOAD, TokenScope.EXTRACT
                it.tokens["rita"] = served.issue(s, "rita", *scopes)
            yield it


@pytest.fixture(scope="module")
def walks(desk):
    found = {}
    for who in WHO:
        with pages.visitor(desk, who) as visitor:
            found[who] = walked(visitor)
    return found


def walked(visitor: Visitor) -> Walk:
    """All that links and the forms that only ask lead to from the first page on."""
    made, waiting, kinds = Walk(), deque(["/console/"]), {}
    while waiting:
        path = waiting.popleft()
        answer = visitor.client.get(path, follow_redirects=True)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        if not answer.headers["content-type"].startswith("text/html"):
            made.files.add(path)
            continue
        page = made.read[path] = required(path, answer)
        for form in page.forms:
            if form.method == "post":
                made.forms.setdefault(kind(form.action), (path, form))
            else:
                page.links.append(str(httpx.URL(form.action, params=form.fields)))
        for link in page.links:
            address = str(answer.url.join(link).copy_with(fragment=None)).removeprefix(str(visitor.client.base_url).rstrip("/"))
            assert address.startswith("/console"), f"{path} leads elsewhere: {link}"
            known = kinds.setdefault(kind(address), set())
            if address not in known and len(known) < MOST_OF_A_KIND:
                known.add(address)
                waiting.append(address)
    return made


def kind(address):
    """An address without its numbers, ids and values."""
    parts = urlsplit(address)
    words = ["*" if any(letter.isdigit() for letter in word) else word for word in parts.path.split("/")]
    return "/".join(words), tuple(sorted(pair.partition("=")[0] for pair in parts.query.split("&")))


def required(path, answer) -> ReadPage:
    """Hold a page to what every page is."""
    assert answer.headers["content-security-policy"] == frame.POLICY, path
    assert answer.headers["content-type"].startswith("text/html"), path
    page = ReadPage(answer.text)
    assert page.title.strip(), path
    assert (page.tags.get("h1"), bool(page.heading.strip())) == (1, True), path
    assert page.tags.keys().isdisjoint({"script", "iframe", "object", "embed"}), path
    assert page.handlers == [], path
    for form in page.forms:
        assert form.method == "get" or form.fields.get("token") or form.action == "/console/login", (path, form)
    return page


@pytest.mark.parametrize("who", WHO)
def test_no_link_is_dead_and_a_page_says_what_it_is(walks, who):
    titles = {page.title for page in walks[who].read.values()}
    assert len(titles) > 4, "each was held to ``required`` on the way"


def test_every_page_and_form_of_the_console_is_led_to(walks):
    read = {urlsplit(path).path for one in walks.values() for path in one.read.keys() | one.files}
    sent = {form.action for one in walks.values() for _, form in one.forms.values()}
    read |= {path for path in sent if path.endswith("/merges")}
    unknown = []
    for route in routes._routes():
        own = read if "GET" in route.methods else sent
        if not any(route.path_regex.match(path) for path in own) and route.path not in LED_TO_BY_THE_SERVER:
            unknown.append((route.path, sorted(route.methods)))
    assert unknown == BEHIND_A_FORM


@pytest.mark.parametrize("who", WHO)
def test_every_form_is_guarded_and_answers_with_a_page(desk, walks, who):
    with pages.visitor(desk, who) as visitor:
        token = visitor.token
        for path, form in walks[who].forms.values():
            fields = {name: value for name, value in form.fields.items() if name != "token"}
            strangers = (
                (fields | {"token": token}, {"sec-fetch-site": "cross-site"}),
                (fields | {"token": token}, {"sec-fetch-site": "same-site"}),
                (fields | {"token": token}, {"origin": "https://elsewhere.example"}),
                (fields | {"token": token}, {"origin": "null"}),
                (fields, pages.SAME),
                (form.fields, pages.SAME),  # of another session of the same person
            )
            for sent, headers in strangers:
                answer = visitor.client.post(form.action, data=sent, headers=headers)
                assert answer.status_code == 403, (path, form.action, headers)
                required(path, answer)
            if form.action in KEPT:
                continue
            answer = visitor.client.post(form.action, data=fields | {"token": token}, headers=pages.SAME)
            assert answer.status_code in (200, 303, 400, 403, 503), (path, form.action, answer.status_code, answer.text)
            if answer.status_code != 303:
                required(form.action, answer)
            else:
                assert visitor.client.get(answer.headers["location"]).status_code == 200, (
                    form.action,
                    answer.headers["location"],
                )


@pytest.mark.parametrize("who", ["ann", "auditor", "rita"])
def test_whatever_stands_in_an_address_is_a_page(desk, who):
    with pages.visitor(desk, who) as visitor:
        for text in ("é💥", "%00", "'\"<b>", "9" * 200):
            for route in routes._routes():
                if "GET" in route.methods and "{" in route.path and "static" not in route.path:
                    filled = route.path_format.format_map(dict.fromkeys(route.param_convertors, quote(text, safe="")))
                    answer = visitor.client.get(filled)
                    assert 400 <= answer.status_code < 500, (filled, answer.status_code)
                    required(filled, answer)
