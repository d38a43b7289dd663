"""htsget over the wire: each rule of the protocol, one answer to whatever depends on data, and blocks for who was given a ticket alone."""

from __future__ import annotations

import gzip
import json

import pytest

from policies.token_scopes import TokenScope
from tests.support import served
from tests.support.vaults import opened
from vault.access import access_tokens, token_texts
from vault.consent import recording
from vault.extracts import bgzf
from vault.server import problems
from vault.server.htsget.answers import response_at
from vault.server.htsget.origins import parse
from vault.server.htsget.probes import MINUTE, Probes
from vault.server.htsget.questions import LARGEST, MOST_REGIONS
from vault.server.problems import BOUNDARY

ORIGIN = "http://127.0.0.1:9999"
COHORT = "/variants/served/cohort"
REGION = f"{COHORT}?referenceName=22&start=1000&end=1300"
MEDIA = "application/vnd.ga4gh.htsget.v1.3.0+json; charset=utf-8"
NOT_FOUND = {"htsget": {"error": "NotFound", "message": "there is nothing for this token here"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    served.staffed(folder)
    with opened(folder / "v") as s:
        token = served.issue(s, "rita", TokenScope.STREAM, TokenScope.READ)
    with served.serving(folder / "v", "--allow-origin", ORIGIN, token=token) as it:
        yield it


def urls(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["htsget"]["urls"]


def block(server, url):
    return server.client.get(url["url"], headers=url["headers"])


def file_of(server, answer):
    return b"".join(block(server, url).content for url in urls(answer))


def text_of(data):
    return gzip.decompress(data).decode()


def positions(data):
    return [int(line.split("\t")[1]) for line in text_of(data).splitlines() if not line.startswith("#")]


def said(answer, status, error):
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA), answer.text
    assert list(answer.json()) == ["htsget"]
    assert answer.json()["htsget"]["error"] == error
    return answer


def test_a_ticket_has_one_key_and_its_secret_is_in_no_address(server):
    answer = server.client.get(REGION)
    assert answer.headers["content-type"] == MEDIA
    assert answer.text.startswith('{"htsget":')
    assert list(answer.json()) == ["htsget"]
    assert answer.json()["htsget"]["format"] == "VCF"
    found = urls(answer)
    assert [one["class"] for one in found] == ["header", "body"]
    assert [one["url"] for one in found] == [f"{server.url}/blocks/0", f"{server.url}/blocks/1"]
    assert all(one["headers"]["Authorization"].startswith("Bearer gvs_") for one in found)


def test_blocks_one_after_another_are_a_whole_file_of_the_region(server):
    answer = server.client.get(REGION)
    header, body = (block(server, url) for url in urls(answer))
    assert "content-length" in header.headers
    assert body.headers["transfer-encoding"] == "chunked"
    assert body.content.endswith(bgzf.EOF_BLOCK)
    found = positions(header.content + body.content)
    assert found[0] > 1000
    assert found[-1] <= 1300


def test_header_alone_is_the_header_of_every_ticket(server):
    alone = server.client.get(f"{COHORT}?class=header")
    assert [one["class"] for one in urls(alone)] == ["header"]
    first = block(server, urls(alone)[0]).content
    assert block(server, urls(server.client.get(REGION))[0]).content == first
    assert text_of(first).splitlines()[-1].startswith("#CHROM")
    said(server.client.get(f"{server.url}/blocks/1", headers=urls(alone)[0]["headers"]), 404, "NotFound")


def test_regions_in_a_body_are_a_union_in_the_order_of_the_file_each_record_once(server):
    regions = [
        {"referenceName": "22", "start": 1100, "end": 1200},
        {"referenceName": "22", "start": 1000, "end": 1050},
        {"referenceName": "22", "start": 1020, "end": 1120},
    ]
    found = positions(file_of(server, server.post(COHORT, {"regions": regions})))
    assert found == sorted(set(found))
    whole = positions(file_of(server, server.client.get(f"{COHORT}?referenceName=22&start=1000&end=1200")))
    assert found == whole


def test_a_body_without_regions_is_everything_and_names_of_contigs_are_read_as_people_write_them(server):
    whole = positions(file_of(server, server.post(COHORT, {})))
    assert whole == positions(file_of(server, server.client.get(COHORT)))
    chr22 = positions(file_of(server, server.client.get(f"{COHORT}?referenceName=chr22&start=1000&end=1300")))
    assert chr22 == positions(file_of(server, server.client.get(REGION)))


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("format=SAM", "UnsupportedFormat"),
        ("format=vcf", "UnsupportedFormat"),
        ("format=", "UnsupportedFormat"),
        ("class=body", "InvalidInput"),
        ("class=header&referenceName=22", "InvalidInput"),
        ("class=header&fields=POS", "InvalidInput"),
        ("start=1", "InvalidInput"),
        ("end=1", "InvalidInput"),
        ("referenceName=*", "InvalidInput"),
        ("referenceName=*&start=1", "InvalidInput"),
        ("referenceName=", "InvalidInput"),
        ("referenceName=22&start=-1", "InvalidInput"),
        ("referenceName=22&start=1e3", "InvalidInput"),
        ("referenceName=22&start=٣", "InvalidInput"),
        (f"referenceName=22&end={LARGEST + 1}", "InvalidInput"),
        (f"referenceName=22&start={'9' * 400}", "InvalidInput"),
        ("referenceName=22&start=5&end=4", "InvalidRange"),
        ("tags=A,B&notags=C,B", "InvalidInput"),
        ("referenceName=22&referenceName=21", "InvalidInput"),
        ("region=22", "InvalidInput"),
        ("referenceName=" + "x" * 101, "InvalidInput"),
        ("referenceName=2{2}", "InvalidInput"),
    ],
)
def test_what_is_no_question_in_an_address_is_said_to_everybody(server, query, error):
    for token in (server.token, "none"):
        said(server.client.get(f"{COHORT}?{query}", headers={"Authorization": f"Bearer {token}"}), 400, error)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"regions": []}, 400, "InvalidInput"),
        ({"regions": [{"start": 1}]}, 400, "InvalidInput"),
        ({"regions": [{"referenceName": "*"}]}, 400, "InvalidInput"),
        ({"regions": [{"referenceName": "22", "start": 5, "end": 5}]}, 400, "InvalidRange"),
        ({"regions": [{"referenceName": "22", "start": 5, "end": 4}]}, 400, "InvalidRange"),
        ({"regions": [{"referenceName": "22", "start": "5"}]}, 400, "InvalidInput"),
        ({"regions": [{"referenceName": "22", "start": -5}]}, 400, "InvalidInput"),
        ({"regions": [{"referenceName": "22", "end": LARGEST + 1}]}, 400, "InvalidInput"),
        ({"regions": [{"referenceName": "22", "strand": "+"}]}, 400, "InvalidInput"),
        ({"class": "header", "regions": [{"referenceName": "22"}]}, 400, "InvalidInput"),
        ({"class": "header", "tags": []}, 400, "InvalidInput"),
        ({"class": "body"}, 400, "InvalidInput"),
        ({"tags": ["A"], "notags": ["A"]}, 400, "InvalidInput"),
        ({"format": "CRAM"}, 400, "UnsupportedFormat"),
        ({"format": 1}, 400, "InvalidInput"),
        ({"referenceName": "22"}, 400, "InvalidInput"),
        ([], 400, "InvalidInput"),
        ({"regions": [{"referenceName": "22"}] * (MOST_REGIONS + 1)}, 413, "PayloadTooLarge"),
        ({"fields": ["x" * 100] * 20_000}, 413, "PayloadTooLarge"),
    ],
)
def test_what_is_no_question_in_a_body_is_said_to_everybody(server, body, status, error):
    for token in (server.token, "none"):
        said(server.post(COHORT, body, Authorization=f"Bearer {token}"), status, error)


def test_a_body_is_json_and_its_address_has_no_parameters(server):
    said(server.post(f"{COHORT}?format=VCF", {}), 400, "InvalidInput")
    said(server.client.post(COHORT, content=b"{}", headers={"Content-Type": "text/plain"}), 400, "InvalidInput")
    said(server.client.post(COHORT, content=b"{", headers={"Content-Type": "application/json"}), 400, "InvalidInput")
    said(server.client.put(COHORT, json={}), 405, "InvalidInput")


def test_fields_and_tags_may_be_named_and_change_nothing(server):
    plain = file_of(server, server.client.get(REGION))
    assert file_of(server, server.client.get(f"{REGION}&fields=POS,ALT&tags=AC&notags=AN")) == plain


@pytest.mark.parametrize(
    "query", ["start=2000000000", f"start={LARGEST}", f"start=0&end={LARGEST}", "start=5&end=5", "start=0&end=0"]
)
def test_ranges_at_and_past_the_ends_of_a_contig_are_whole_files(server, query):
    data = file_of(server, server.client.get(f"{COHORT}?referenceName=21&{query}"))
    assert data.endswith(bgzf.EOF_BLOCK)
    assert bool(positions(data)) == (query == f"start=0&end={LARGEST}")


@pytest.mark.parametrize(
    "path",
    [
        "/variants/served/nosuch",
        "/variants/served/other",
        "/variants/nosuch/cohort",
        "/variants/demo/cohort",
        "/variants/served/cohort/nosuch",
        "/variants/served/cohort?referenceName=17",
        "/variants/served/cohort?referenceName=chrNone&start=1&end=2",
        "/variants/served/cohort/pgx/more",
        "/variants/served",
        "/variants/served/../cohort",
        "/variants/served;a=b/cohort",
        "/variants/served/cohort%7Cpgx",
    ],
)
def test_what_is_not_there_and_what_is_not_allowed_are_one_answer_at_the_boundary(server, path):
    answer = said(server.client.get(path), 404, "NotFound")
    assert answer.json() == NOT_FOUND
    assert answer.elapsed.total_seconds() >= BOUNDARY


@pytest.mark.parametrize(
    "path", ["%2e%2e/cohort", "served/cohort%00", "served/cohort%2f..%2fcohort", "served%2fcohort", "served//cohort"]
)
def test_an_address_that_hides_something_is_none(server, path):
    said(server.client.get(f"/variants/{path}"), 400, "InvalidInput")


def test_a_token_without_the_scope_is_told_what_is_told_of_nothing_there_and_leaves_an_entry(server):
    with opened(server.folder) as s:
        other = served.issue(s, "rob", TokenScope.ENGINE)
    answer = said(server.client.get(REGION, headers={"Authorization": f"Bearer {other}"}), 404, "NotFound")
    assert answer.json() == NOT_FOUND
    last = entries(server)[-1]
    assert (last["act"], last["outcome"], last["reasons"]) == ("stream.ticket", "refused", {"scope_missing": 1})
    for token in ("x", "gvt_x", server.token[:-1] + "?"):
        answer = said(server.client.get(REGION, headers={"Authorization": f"Bearer {token}"}), 401, "InvalidAuthentication")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_blocks_are_for_who_shows_the_ticket_as_it_was_given(server):
    given = urls(server.client.get(REGION))[1]["headers"]["Authorization"].removeprefix("Bearer ")
    address = f"{server.url}/blocks/1"
    for headers in (
        {},
        {"Authorization": f"Basic {given}"},
        {"Authorization": given},
        {"Authorization": f"Bearer {server.token}"},
    ):
        said(server.client.get(address, headers={"Authorization": "", **headers}), 401, "InvalidAuthentication")
    for name in ("X-Authorization", "Cookie", "Htsget-Context-Public-Key"):
        said(server.client.get(address, headers={"Authorization": "", name: f"Bearer {given}"}), 401, "InvalidAuthentication")
    said(server.client.get(REGION, headers={"Authorization": f"Bearer {given}"}), 401, "InvalidAuthentication")
    for number in ("2", "-1", "01", "999999999999999999999"[:20], "x"):
        said(server.client.get(f"{server.url}/blocks/{number}", headers={"Authorization": f"Bearer {given}"}), 404, "NotFound")
    another = token_texts.spelled("0123456789", bytes(32), "gvs")
    said(server.client.get(address, headers={"Authorization": f"Bearer {another}"}), 404, "NotFound")
    answer = server.client.get(address, headers={"Authorization": f"Bearer {given}", "Range": "bytes=10-20"})
    assert answer.status_code == 200


def test_a_look_for_an_index_is_answered_at_once_by_no_look_up(server):
    before = len(entries(server))
    for path in (f"{COHORT}.csi", f"{COHORT}.tbi", f"{COHORT}.csi?referenceName=22&start=0&end=300", "/variants/no/such.tbi"):
        for headers in ({}, {"Authorization": ""}):
            answer = said(server.client.get(path, headers=headers), 404, "NotFound")
            assert "retry-after" not in answer.headers
    assert len(entries(server)) == before


def test_looks_for_an_index_are_told_by_one_entry_of_their_own(tmp_path):
    served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token="none") as it:
        for _ in range(3):
            it.client.get(f"{COHORT}.csi")
            it.client.get(f"{REGION}.tbi")
    probes = [leaf for leaf in entries(it) if leaf["act"].startswith("stream.")]
    assert [(leaf["act"], leaf["outcome"], leaf["counts"]) for leaf in probes] == [("stream.probe", "done", {"probes": 1})]
    assert probes[0]["actor"] == {"kind": "service", "id": "service"}


@pytest.mark.parametrize(
    ("problem", "status", "error"),
    [
        (problems.refused(), 404, "NotFound"),
        (problems.unauthenticated(), 401, "InvalidAuthentication"),
        (problems.sealed(), 503, "Unavailable"),
        (problems.HttpProblem(415, "media_type", "a body is application/json"), 400, "InvalidInput"),
        (problems.HttpProblem(413, "body_too_large", "a body has an end"), 413, "PayloadTooLarge"),
        (problems.HttpProblem(500, "internal_error", "something went wrong here"), 500, "InternalError"),
    ],
)
def test_problems_have_the_form_of_their_address(problem, status, error):
    for path in ("/variants/a/b", "/blocks/1"):
        answer = response_at(path, problem)
        assert (answer.status_code, answer.media_type) == (status, MEDIA)
        assert json.loads(answer.body)["htsget"]["error"] == error
        assert {name.lower() for name in problem.headers} <= set(answer.headers)
    elsewhere = response_at("/v1/projects", problem)
    assert (elsewhere.status_code, elsewhere.media_type) == (problem.status, problems.MEDIA_TYPE)
    assert response_at("/variantsx", problem).media_type == problems.MEDIA_TYPE


def test_a_minute_of_looks_is_one_number():
    now = [0.0]
    probes = Probes(lambda: now[0])
    assert [probes.note() for _ in range(5)] == [0] * 5
    now[0] = MINUTE
    assert [probes.note(), probes.note()] == [6, 0]
    assert probes.take() == 1


def test_what_the_service_is_needs_no_token(server):
    answer = server.client.get("/variants/service-info", headers={"Authorization": ""})
    assert answer.status_code == 200
    found = answer.json()
    assert found["type"] == {"group": "org.ga4gh", "artifact": "htsget", "version": "1.3.0"}
    assert found["htsget"]["datatype"] == "variants"
    assert {"id", "name", "organization", "version"} <= set(found)


def test_pages_of_named_origins_alone_may_ask_and_read(server):
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    answer = server.client.options(REGION, headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, ORIGIN)
    assert answer.headers["access-control-max-age"] == str(30 * 24 * 3600)
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    for path in (REGION, f"{COHORT}?x=1", "/blocks/0"):
        answer = server.client.get(path, headers={"Origin": ORIGIN})
        assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (ORIGIN, "Origin")
    refused = server.client.get(
        REGION, headers=[("Origin", ORIGIN), ("Authorization", "Bearer x"), ("Authorization", "Bearer y")]
    )
    assert (refused.status_code, refused.json()["htsget"]["error"]) == (400, "InvalidInput"), "by the limits, before any route"
    assert refused.headers.get_list("access-control-allow-origin") == [ORIGIN]
    for origin in ("http://127.0.0.1:9998", "null", "http://127.0.0.1:9999.evil.example", "https://127.0.0.1:9999"):
        answer = server.client.options(REGION, headers={**asked, "Origin": origin})
        assert answer.status_code == 405
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "access-control-allow-origin" not in server.client.get(REGION, headers={"Origin": origin}).headers
    assert "access-control-allow-origin" not in server.client.get("/v1/projects", headers={"Origin": ORIGIN}).headers
    assert parse("HTTPS://Example.org/") == "https://example.org"


def test_a_host_that_is_none_gets_no_address(server):
    said(server.client.get(REGION, headers={"Host": "x/../y"}), 400, "InvalidInput")
    answer = server.client.get(REGION, headers={"Host": "vault.example.org"})
    assert urls(answer)[0]["url"] == "http://vault.example.org/blocks/0"


def test_a_withdrawal_ends_the_tickets_that_are_out(server):
    before = urls(server.client.get(REGION))
    names = text_of(block(server, before[0]).content).splitlines()[-1].split("\t")[9:]
    with opened(server.folder) as s:
        recording.withdraw(s, "S09")
    for url in before:
        said(block(server, url), 404, "NotFound")
    after = text_of(file_of(server, server.client.get(REGION)))
    left = next(line for line in after.splitlines() if line.startswith("#CHROM")).split("\t")[9:]
    assert (len(set(names) - set(left)), len(left)) == (1, len(names) - 1)
    with opened(server.folder) as s:
        access_tokens.revoke(s, server.token.split("_")[1])
    said(server.client.get(REGION), 401, "InvalidAuthentication")


def entries(server):
    with opened(server.folder) as s:
        return [json.loads(entry.leaf) for entry in s.trail.log.entries(0)]
