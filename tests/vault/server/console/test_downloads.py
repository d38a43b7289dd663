"""What was released to a researcher, fetched in the browser: the same bytes as by the interface, by the session's token alone."""

from __future__ import annotations

import hashlib
import json

import httpx
import pytest

from policies.token_scopes import TokenScope
from tests.support import consoles, delivered, served
from tests.support.vaults import opened
from vault.access import access_tokens, notices, outside_identities
from vault.access.token_bindings import NOWHERE
from vault.consent import recording
from vault.errors import RefusedError
from vault.server.console import downloads
from vault.server.oidc.id_tokens import Subject
from vault.server.oidc.routes import holder

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


@pytest.fixture
def known(desk):
    """Rita, and rob of the same project, as a provider knows them."""
    with opened(desk.folder) as s:
        for principal, subject in (("rita", "0815"), ("rob", "4711")):
            outside_identities.name(s, principal, consoles.ISSUER, subject)
    yield
    with opened(desk.folder) as s:
        for one in outside_identities.list_all(s):
            outside_identities.forget(s, one.issuer, one.subject)


def leaves(desk):
    with opened(desk.folder) as s:
        return [json.loads(e.leaf) for e in s.trail.log.entries(0)]


def test_who_logged_in_by_a_provider_fetches_what_a_token_fetches(desk, chromium, known, tmp_path):
    address = f"/console/downloads/{desk.names['release']}/{SEALED}"
    with consoles.by_provider(chromium, desk, "0815", "parcels") as page:
        page.get_by_role("link", name="Downloads").click()
        with page.expect_download() as waiting:
            page.get_by_role("link", name=SEALED, exact=True).click()
        waiting.value.save_as(tmp_path / "fetched")
        assert hashlib.sha256((tmp_path / "fetched").read_bytes()).hexdigest() == desk.names["digest"]
        leaf = leaves(desk)[-1]
        assert (leaf["act"], leaf["outcome"], leaf["obj"]) == (
            "release.download",
            "done",
            {"kind": "release", "ref": desk.names["release"]},
        )
        assert (leaf["actor"]["for"], set(leaf["flags"])) == ("rita", {"role:researcher", "authn:oidc"})
        part = page.request.get(address, headers={"range": "bytes=10-19"})
        assert (part.status, len(part.body())) == (206, 10)
        assert leaves(desk)[-1] == leaf, "a range continues the download"


def test_by_a_provider_too_it_is_only_one_s_own_in_the_session_s_project(desk, chromium, known):
    address = f"/console/downloads/{desk.names['release']}/{SEALED}"
    for subject, project, codes in (("4711", "parcels", ["not_yours"]), ("0815", "served", ["not_yours"])):
        with consoles.by_provider(chromium, desk, subject, project) as page:
            page.goto("/console/downloads")
            assert desk.names["release"] not in page.content()
            assert page.goto(address).status == 403
        leaf = leaves(desk)[-1]
        assert (leaf["act"], leaf["outcome"], list(leaf["reasons"])) == ("release.download", "refused", codes)


def test_an_identity_that_ended_ends_the_session_at_the_next_file(desk, chromium, known):
    with consoles.by_provider(chromium, desk, "0815", "parcels") as page:
        page.goto("/console/downloads")
        with opened(desk.folder) as s:
            outside_identities.forget(s, consoles.ISSUER, "0815")
        answer = page.request.get(f"/console/downloads/{desk.names['release']}/{SEALED}", max_redirects=0)
        assert (answer.status, answer.headers["location"]) == (303, "/console/login?said=ended")


def test_what_is_under_way_looks_the_identity_up_again(desk, known):
    served_ = holder(desk.seal, Subject(consoles.ISSUER, "0815"), "parcels")
    fetcher = downloads._fetcher(served_, NOWHERE, desk.seal.standing())
    assert fetcher.counted_as == f"{consoles.ISSUER} 0815", "one limit for all sessions of a person"
    fetcher.require_again()
    with opened(desk.folder) as s:
        outside_identities.forget(s, consoles.ISSUER, "0815")
    with pytest.raises(RefusedError):
        fetcher.require_again()


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
