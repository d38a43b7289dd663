"""Pages of what a second steward is to agree to, in a browser: for everybody's eyes and ears, and on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support import console_work, consoles


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    vault, _ = consoles.staffed(tmp_path_factory.mktemp("shown"))
    names = console_work.bring(vault)
    with pytest.MonkeyPatch.context() as patch:
        consoles.impatient(patch)
        with consoles.running(vault) as it:
            it.names.update(names)
            yield it


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_hangs_over_the_edge(desk, chromium, scheme):
    options = {"java_script_enabled": True, "bypass_csp": True, "color_scheme": scheme, "viewport": {"width": 360, "height": 740}}
    found = {}

    def look(page, what):
        for one in page.locator("details").all():
            one.evaluate("it => { it.open = true }")
        violations = Axe().run(page).response["violations"]
        wide = page.evaluate("document.documentElement.scrollWidth") > 360
        if violations or wide:
            found[what] = [(one["id"], one["nodes"][0]["html"][:200]) for one in violations], wide

    with consoles.visiting(chromium, desk, "bob", **options) as page:
        for path in ("/waiting", f"/waiting/corrections/{desk.names['event of S12']}", "/projects/served/budgets"):
            page.goto(f"/console{path}")
            look(page, path)
        page.goto("/console/waiting/merges")
        page.get_by_role("button", name="See what it would do").first.click()
        assert "Person 9" in page.content(), "who they are is told"
        look(page, "a merge")
        page.get_by_role("button", name="Agree: make them one").evaluate(
            "it => { it.form.querySelector('[name=reason]').value = 'x'; it.form.querySelector('[name=seen]').value = 'x'; it.form.submit() }"
        )
        page.wait_for_load_state()
        assert "shown_outdated" in page.get_by_role("alert").inner_text()
        look(page, "a refused form")
        page.get_by_role("link", name="To Waiting").click()
        assert page.url.endswith("/console/waiting")
    assert found == {}
