"""What was released to a researcher, fetched in the browser: the same bytes as by the interface, by the session's token alone."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from policies.token_scopes import TokenScope
from tests.support import consoles, delivered, served
from tests.support.vaults import opened
from vault.access import access_tokens, notices
from vault.consent import recording

SEALED = "genotypes.vcf.gz.c4gh"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fetched")
    token = delivered.staffed(folder)
    with pytest.MonkeyPatch.context() as patch:
        consoles.impatient(patch)
        with consoles.running(folder / "v") as it:
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=it.url, headers=headers, timeout=60) as client:
                by_wire = served.Served(it.folder, it.url, client, token, None)
                release = delivered.extracted(by_wire, delivered.asked(by_wire))
                assert release["state"] == "ready", release
                it.names["digest"] = hashlib.sha256(delivered.file_of(by_wire, release, SEALED).content).hexdigest()
            it.names["release"] = release["release"]
            with opened(it.folder) as s:
                it.tokens["rita"] = served.issue(s, "rita", TokenScope.READ, TokenScope.DOWNLOAD, project="parcels")
                it.tokens["rita who reads"] = served.issue(s, "rita", TokenScope.READ, project="parcels")
                it.tokens["rita of another project"] = served.issue(s, "rita", TokenScope.READ, TokenScope.DOWNLOAD)
            yield it


def test_files_are_fetched_by_a_link(desk, chromium, tmp_path):
    with consoles.visiting(chromium, desk, "rita", accept_downloads=True) as page:
        page.get_by_role("link", name="Downloads").click()
        assert "ready" in page.get_by_role("region", name=desk.names["release"]).inner_text()
        with page.expect_download() as waiting:
            page.get_by_role("link", name=SEALED, exact=True).click()
        waiting.value.save_as(tmp_path / "fetched")
        assert hashlib.sha256((tmp_path / "fetched").read_bytes()).hexdigest() == desk.names["digest"]
        assert waiting.value.suggested_filename == SEALED
        receipt = page.request.get(page.get_by_role("link", name="manifest.json.tlog-proof").get_attribute("href"))
        assert receipt.headers["content-disposition"] == 'attachment; filename="manifest.json.tlog-proof"'
        assert receipt.text().startswith("c2sp.org/tlog-proof@v1")


def test_own_notices_are_answered_and_another_project_s_are_not_there(desk, chromium):
    with opened(desk.folder) as s:
        recording.withdraw(s, "S05")
        desk.names["notice"] = notices.list_all(s)[0].notice_id
    same = {"sec-fetch-site": "same-origin"}
    with consoles.visiting(chromium, desk, "rita of another project") as page:
        token = page.locator("input[name=token]").first.get_attribute("value")
        form = {"token": token, "notice": desk.names["notice"], "reason": "x"}
        assert page.request.post("/console/notices", form=form, headers=same, max_redirects=0).status == 403
        page.goto("/console/notices")
        assert desk.names["notice"] not in page.content()
    with consoles.visiting(chromium, desk, "rita who reads") as page:
        assert page.goto("/console/notices").status == 403
    with consoles.visiting(chromium, desk, "rita") as page:
        assert page.goto(f"/console/downloads/{desk.names['release']}/{SEALED}").status == 403, "somebody in it withdrew"
        page.goto("/console/notices")
        page.get_by_label("How it was done").fill("taken out of every copy")
        page.get_by_role("button", name="It is done").click()
        assert "recorded" in page.get_by_role("status").inner_text()
    with opened(desk.folder) as s:
        assert notices.list_all(s)[0].state == "acknowledged"


def test_a_steward_s_session_fetches_nothing(desk, chromium):
    with consoles.visiting(chromium, desk, "ann") as page:
        assert page.goto("/console/downloads").status == 403
        assert page.goto(f"/console/downloads/{desk.names['release']}/{SEALED}").status == 403


def test_without_the_scope_a_session_or_a_token_that_holds_there_is_no_file(desk, chromium):
    address = f"/console/downloads/{desk.names['release']}/{SEALED}"
    assert httpx.get(desk.url + address).headers["location"] == "/console/login"
    with consoles.visiting(chromium, desk, "rita who reads") as page:
        assert page.get_by_role("link", name="Downloads").count() == 0
        assert page.goto("/console/downloads").status == 403
        assert page.goto(address).status == 403
    with consoles.visiting(chromium, desk, "rita") as page:
        for path in (
            "/console/downloads/rel-0000000000000000/x",
            f"/console/downloads/{desk.names['release']}/..%2f..%2fvault.json",
        ):
            assert page.goto(path).status in (403, 404)
        with opened(desk.folder) as s:
            access_tokens.revoke(s, desk.tokens["rita"].split("_")[1])
        answer = page.request.get(address, max_redirects=0)
        assert answer.status in (303, 401)
