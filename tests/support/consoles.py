"""The console over a vault of its own, in this process, with a browser that runs no script unless a test needs one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from policies.declarations import project_template
from policies.purposes import RequestKind
from policies.token_scopes import TokenScope
from tests.support import served, vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import accounting, notices, projects, requests
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import GenovaultError
from vault.files.yaml_documents import parse_yaml
from vault.server.app import application
from vault.server.console import login
from vault.server.console.sessions import Sessions
from vault.server.oidc.id_tokens import Subject
from vault.server.oidc.routes import holder
from vault.server.seal import Seal
from vault.session import principals

CHROMIUM = "/usr/bin/chromium"
HOSTILE = "<script>alert('title')</script>\" onmouseover=x {{7*7}}"
"""Title of a project that is approved each."""
ISSUER = "https://idp.example.org"
WHO = {"ann": vaults.PASSPHRASE, "auditor": "passphrase of the auditor", "bob": "passphrase of the steward bob"}
"""Passphrases of two stewards and an auditor."""


@dataclass
class Clock:
    """Seconds that a test moves."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Desk:
    """A running console: its address, its vault, the clock of its sessions, and the seal of its service."""

    url: str
    folder: Path
    clock: Clock
    seal: Seal
    sessions: Sessions
    tokens: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def staffed(folder: Path) -> tuple[Path, str]:
    """A vault with stewards ann and bob, an auditor, a service and researchers; a token of the researcher rita for the project ``served``."""
    vault = vaults.copy(folder)
    vaults.add_role(vault, Role.AUDITOR)
    vaults.add_role(vault, Role.SERVICE)
    with opened(vault) as s:
        principals.add(s, "rita", Role.RESEARCHER, None)
        vaults.approve(s, "served", "cohort", people=["rita"])
        token = served.issue(s, "rita", TokenScope.READ)
        profile = Argon2Profile.TEST_ONLY
        principals.add(s, "bob", Role.STEWARD, PassphraseFactor.from_text(WHO["bob"]), profile=profile)
    return vault, token


def worked(vault: Path, folder: Path) -> dict[str, str]:
    """A day's work in a staffed vault: a view, an extract, a refusal, a withdrawal with its notice, and all that can wait for a steward; ids by name."""
    names: dict[str, str] = {}
    with opened(vault) as s:
        gate.view(s, project="demo", dataset="cohort", panel="pgx")
        names["released"] = requests.list_visible(s)[0].request_id
        names["release"] = gate.extract(s, names["released"], folder / "out").release_id
        with suppress(GenovaultError):
            gate.view(s, project="served", dataset="other", panel="pgx")
        recording.withdraw(s, "S10")
        names["notice"] = notices.list_all(s)[0].notice_id
        own = requests.Spec(regions=("22:1-1200",), submitted_for="rita")
        names["own"] = requests.submit(s, "served", "cohort", kind=RequestKind.RECORDS, spec=own).request_id
        names["asks"] = served.issue(s, "rita", TokenScope.READ, TokenScope.REQUEST)
        names["engine"] = served.issue(s, "rita", TokenScope.ENGINE)
        names["token"] = accounting.tokens_of(s, "sample:S03")[-1]
        document = parse_yaml(project_template("each", "cohort").encode(), name="template")
        projects.create(s, document | {"people": ["rita"], "approval": "each", "title": HOSTILE})
        with opened(vault, factor=PassphraseFactor.from_text(WHO["bob"]), principal="bob") as bob:
            projects.change(bob, "each", "approve")
            asked = requests.Spec(regions=("22:1-1200",))
            names["request"] = requests.submit(bob, "each", "cohort", kind=RequestKind.RECORDS, spec=asked).request_id
            names["second"] = requests.submit(bob, "each", "cohort", kind=RequestKind.RECORDS, spec=asked).request_id
            projects.create(bob, document | {"code": "draft", "title": "Draft of bob"})
    return names


@contextmanager
def running(vault: Path, *, sealed: bool = False) -> Iterator[Desk]:
    """The server's application on a free port of this machine, until the block ends."""
    seal, clock = Seal(vault, "service"), Clock()
    if not sealed:
        seal.unseal(PassphraseFactor.from_text(served.PASSPHRASE))
    sessions = Sessions(clock=clock)
    config = uvicorn.Config(
        application(seal, sessions), port=0, log_level="critical", server_header=False, lifespan="on", loop="asyncio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Desk(f"http://127.0.0.1:{port}", vault, clock, seal, sessions)
    finally:
        server.should_exit = True
        thread.join(60)


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


@contextmanager
def visiting(chromium: Browser, desk: Desk, who: str = "", **options: Any) -> Iterator[Page]:
    """A page of a browser of its own, without scripts; logged in as somebody, where a name is given."""
    context = chromium.new_context(base_url=desk.url, **({"java_script_enabled": False} | options))
    try:
        page = context.new_page()
        if who:
            log_in(page, who, desk)
        yield page
    finally:
        context.close()


def log_in(page: Page, who: str, desk: Desk, passphrase: str | None = None) -> None:
    """Fill the login's form; the server's doorkeeper takes one attempt a second of a name."""
    page.goto("/console/login")
    if who in desk.tokens:
        page.get_by_label("Access token").fill(desk.tokens[who])
        page.get_by_role("button", name="Log in").click()
        return
    page.get_by_label("Name").fill(who)
    page.get_by_label("Passphrase").fill(WHO[who] if passphrase is None else passphrase)
    page.get_by_role("button", name="Unlock").click()


@contextmanager
def by_provider(chromium: Browser, desk: Desk, subject: str, project: str = "", **options: Any) -> Iterator[Page]:
    """A page of a browser of its own, logged in as whom a provider of ``ISSUER`` calls ``subject``."""
    session = desk.sessions.begin(holder(desk.seal, Subject(ISSUER, subject), project))
    with visiting(chromium, desk, **options) as page:
        page.context.add_cookies([{"name": "genovault-loopback", "value": session, "url": desk.url}])
        page.goto("/console/")
        yield page


def impatient(monkeypatch: Any) -> None:
    """Doorkeepers that let the same name try again at once."""
    monkeypatch.setattr(login, "APART", 0.0001)
