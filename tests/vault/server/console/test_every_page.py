"""Every page of the console: whose it is, its headers, and that it serves people at a phone, by keyboard, in the dark and by ear."""

from __future__ import annotations

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support import consoles
from vault.server.console import frame, routes

PAGES = {  # page -> who sees it; others are refused
    "/waiting": {"ann"},
    "/waiting/merges": {"ann"},
    "/requests": {"ann", "rita"},
    "/requests?state=submitted": {"ann", "rita"},
    "/requests/{request}": {"ann"},
    "/requests/{second}": {"ann"},
    "/requests/{own}": {"ann", "rita"},
    "/projects": {"ann", "rita"},
    "/projects/each": {"ann"},
    "/projects/draft": {"ann"},
    "/projects/served": {"ann", "rita"},
    "/projects/served/check": {"ann"},
    "/projects/served/budgets": {"ann", "rita"},
    "/projects/each/budgets": {"ann"},
    "/projects/served/tables": {"ann"},
    "/coverage": {"ann"},
    "/coverage?project=served": {"ann"},
    "/expiring": {"ann"},
    "/expiring?days=36500": {"ann"},
    "/notices": {"ann"},
    "/downloads": set(),  # of tokens with a scope that rita's has not
    "/overview": {"auditor", "ann"},
    "/approvals": {"auditor", "ann"},
    "/approvals/demo": {"auditor", "ann"},
    "/approvals/each": {"auditor", "ann"},
    "/disclosures": {"auditor", "ann"},
    "/left": {"auditor", "ann"},
    "/left?about=notices": {"auditor", "ann"},
    "/checkpoints": {"auditor", "ann"},
    "/log": {"auditor", "ann"},
    "/log/3": {"auditor", "ann"},
    "/log/3/proof": {"auditor", "ann"},
}
PEOPLE = ("auditor", "ann", "rita")
HEADERS = {
    "content-security-policy": frame.POLICY,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-xss-protection": "0",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "",
}


@pytest.mark.parametrize("who", PEOPLE)
def test_each_page_is_for_its_roles(desk, chromium, who):
    with consoles.visiting(chromium, desk, who) as page:
        for path, seen_by in PAGES.items():
            answer = page.goto(f"/console{path.format(**desk.names)}")
            assert (answer.status == 200) == (who in seen_by), (path, answer.status)
            if who in seen_by:
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path
                assert "server" not in answer.headers


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(desk, chromium, scheme):
    found = {}
    for who in PEOPLE:
        with consoles.visiting(chromium, desk, who, java_script_enabled=True, bypass_csp=True, color_scheme=scheme) as page:
            for path in ["/login", *(one for one, seen_by in PAGES.items() if who in seen_by)]:
                page.goto(f"/console{path.format(**desk.names)}")
                for one in page.locator("details").all():
                    one.evaluate("it => { it.open = true }")
                violations = Axe().run(page).response["violations"]
                if violations:
                    found[path] = [(one["id"], one["nodes"][0]["html"][:200]) for one in violations]
    assert found == {}


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_hangs_over_the_edge(desk, chromium, width):
    options = {"java_script_enabled": True, "bypass_csp": True, "viewport": {"width": width, "height": 740}}
    for who in PEOPLE:
        with consoles.visiting(chromium, desk, who, **options) as page:
            for path in ["/login", *(one for one, seen_by in PAGES.items() if who in seen_by)]:
                page.goto(f"/console{path.format(**desk.names)}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_keyboard_reaches_the_content_first(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor", java_script_enabled=True, bypass_csp=True) as page:
        page.goto("/console/log")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


def test_a_page_loads_nothing_but_its_style_and_icon(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor") as page:
        asked = []
        page.on("request", lambda one: asked.append(one.url))
        page.goto("/console/log")
        assert set(asked) <= {f"{desk.url}/console/log", f"{desk.url}{frame.STYLE[0]}", f"{desk.url}{frame.ICON[0]}"}


def test_style_and_icon_are_kept_under_names_of_their_content(desk):
    for address, data, _ in (frame.STYLE, frame.ICON):
        answer = httpx.get(desk.url + address)
        assert (answer.content, answer.headers["cache-control"]) == (data, "public, max-age=31536000, immutable")
    assert httpx.get(f"{desk.url}/console/static/other.css").status_code == 404
    assert httpx.get(f"{desk.url}/console/static/..%2fframe.py").status_code == 404


def test_who_has_no_keys_sees_what_is_marked_for_them_alone(desk, chromium):
    marked = {"", "/requests", "/projects", "/downloads", "/notices"}
    with consoles.visiting(chromium, desk, "rita") as page:
        for route in routes._routes():
            path = route.path.removeprefix(frame.PREFIX)
            if "GET" in route.methods and "{" not in path and path not in ("", "/login"):
                assert page.goto(route.path).status in (200, 403), path
                assert (page.get_by_role("alert").count() == 0) <= (path.rstrip("/") in marked), path


def test_no_template_lets_text_through_unescaped():
    names = frame._TEMPLATES.list_templates()
    assert names
    for name in names:
        text = frame._TEMPLATES.loader.get_source(frame._TEMPLATES, name)[0]
        assert "safe" not in text.replace("autosafe", ""), name
        assert "<script" not in text, name
        assert "style=" not in text, name
        assert " on" not in text or "onerror" not in text, name
