"""Extracts over the wire: made by a job, sealed, fetched with ranges, and gone with whoever may not be released any more."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from policies.token_scopes import TokenScope
from tests.support import delivered, parcels, served, vaults
from tests.support.delivered import as_, file_of
from tests.support.outside import tool
from tests.support.vaults import opened, verified
from vault.access import access_tokens, projects, requests
from vault.consent import recording
from vault.extracts.verification import key_fingerprint, private_key, verify_release

SEALED = "genotypes.vcf.gz.c4gh"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("delivered")
    token = delivered.staffed(folder)
    with served.serving(folder / "v", token=token) as it:
        yield it


@pytest.fixture(scope="module")
def release(server):
    found = delivered.extracted(server, delivered.asked(server))
    assert found["state"] == "ready", found
    return found


def test_the_whole_way_over_the_wire(server, tmp_path):
    with opened(server.folder) as s:
        vaults.approve(s, "each", "cohort", people=["rita"], recipients=[{"name": "lab"}], approval="each")
        server.client.headers["Authorization"], before = (
            f"Bearer {served.issue(s, 'rita', *delivered.FETCH, project='each')}",
            server.client.headers["Authorization"],
        )
    try:
        request = delivered.asked(server, project="each")
        early = server.post(f"/v1/requests/{request}/extracts", {})
        assert (early.status_code, early.json()["code"]) == (409, "request_not_ready")
        with opened(server.folder) as s:
            requests.approve(s, request)
        found = delivered.extracted(server, request)
        folder = delivered.fetched(server, found, tmp_path / "parcel")
    finally:
        server.client.headers["Authorization"] = before
    _, secret = parcels.key_files(tmp_path, 1)
    with opened(server.folder) as s:
        log_keys, keys = s.trail.log_keys(), [key_fingerprint(public) for public in s.release_keys().values()]
    checked = verify_release(folder, log_keys=log_keys, release_keys=keys, reader=private_key(secret, passphrase=lambda: ""))
    assert SEALED in checked.opened
    opened_by = parcels.client("decrypt", "--sk", secret, data=(folder / SEALED).read_bytes())
    assert opened_by.returncode == 0, opened_by.stderr
    (tmp_path / "g.vcf.gz").write_bytes(opened_by.stdout)
    listed = subprocess.run([tool("bcftools"), "query", "-l", tmp_path / "g.vcf.gz"], capture_output=True, text=True, check=True)
    assert len(listed.stdout.split()) == 10
    assert all(name.startswith("each1") for name in listed.stdout.split())


def test_a_download_is_an_entry_and_its_ranges_are_parts_of_it(server, release):
    size = next(one["bytes"] for one in release["files"] if one["name"] == SEALED)
    before = len(downloads(server))
    whole = file_of(server, release, SEALED)
    assert (whole.status_code, len(whole.content)) == (200, size)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["cache-control"] == "no-store"
    tag = whole.headers["etag"]
    assert tag == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    got = b""
    while len(got) < size:
        part = file_of(server, release, SEALED, Range=f"bytes={len(got)}-{len(got) + 999}", **{"If-Range": tag})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {len(got)}-{min(size, len(got) + 1000) - 1}/{size}"
        got += part.content
    assert got == whole.content
    new = downloads(server)[before:]
    assert len(new) == 2, "the whole file, and the ranges together"
    for leaf in new:
        assert leaf["obj"] == {"kind": "release", "ref": release["release"]}
        assert leaf["req"] == release["request"]
        assert leaf["actor"] == {"kind": "service", "id": "service", "for": "rita"}


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=5-", 206, slice(5, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=-99999999999999999", 206, slice(0, None)),
        ("bytes=3-99999999999999999", 206, slice(3, None)),
        ("lines=1-2", 200, slice(0, None)),
        ("bytes=0-1,3-4", 416, None),
        ("bytes=0-100,50-150", 416, None),
        ("bytes=" + ",".join(["0-"] * 1_000), 416, None),
        ("bytes=99999999999-", 416, None),
        ("bytes=5-2", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=-", 416, None),
        ("bytes=-5-7", 416, None),
        ("bytes=0x1-5", 416, None),
        ("bytes=" + "9" * 5_000 + "-", 416, None),
        ("bytes= 0-5", 416, None),
    ],
)
def test_a_range_is_one_within_the_file(server, release, asked, status, part):
    whole = file_of(server, release, "README.txt").content
    answer = file_of(server, release, "README.txt", Range=asked)
    assert answer.status_code == status
    if part is None:
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"
        assert answer.json()["code"] == "range_not_satisfiable"
    else:
        assert answer.content == whole[part]


def test_conditions_are_of_the_strong_tag(server, release):
    whole = file_of(server, release, "README.txt")
    tag = whole.headers["etag"]
    unchanged = file_of(server, release, "README.txt", **{"If-None-Match": f'"x", {tag}'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert file_of(server, release, "README.txt", **{"If-None-Match": '"x"'}).status_code == 200
    for stale in ('"x"', f"W/{tag}", "Mon, 30 Nov 2026 00:00:00 GMT"):
        assert file_of(server, release, "README.txt", Range="bytes=1-2", **{"If-Range": stale}).status_code == 200
    looked = server.client.head(f"/v1/releases/{release['release']}/files/README.txt")
    assert (looked.status_code, looked.content, looked.headers["content-length"]) == (200, b"", str(len(whole.content)))
    assert looked.headers["etag"] == tag


@pytest.mark.parametrize(
    "name",
    [
        "nosuch.txt",
        "..",
        "%2e%2e",
        "..%2f..%2fvault.json",
        "%2fetc%2fpasswd",
        "genotypes.vcf.gz",
        "README.txt%00",
        "README.txt/",
        ".asked",
        "x" * 121,
        "manifest.json%2f..%2fmanifest.json",
    ],
)
def test_no_name_leads_elsewhere(server, release, name):
    for place in (f"{release['release']}/files/{name}", f"{name}/files/README.txt", name):
        assert raw_status(server, f"/v1/releases/{place}") in (400, 403, 404, 405), place


def test_a_project_that_names_no_recipient_gets_none_and_nothing_lies_about(server):
    with opened(server.folder) as s:
        token = as_(served.issue(s, "rita", *delivered.FETCH))
        request = requests.submit(
            s, "served", "cohort", kind=requests.RequestKind.RECORDS, spec=requests.Spec(submitted_for="rita")
        ).request_id
    answer = server.post(f"/v1/requests/{request}/extracts", {}, **token)
    assert (answer.status_code, answer.json()["code"]) == (409, "recipient_needed")
    assert last(server)["reasons"] == {"recipient_needed": 1}
    spool = server.folder / "spool"
    assert spool.stat().st_mode & 0o777 == 0o700
    assert not [path for path in spool.rglob("*.vcf.gz*") if not path.name.endswith(".c4gh")]


def test_another_person_s_or_project_s_release_is_the_one_refusal(server, release):
    with opened(server.folder) as s:
        vaults.approve(s, "beside", "cohort", people=["rita"], recipients=[{"name": "lab"}])
        rob = served.issue(s, "rob", *delivered.FETCH, project="parcels")
        beside = served.issue(s, "rita", *delivered.FETCH, project="beside")
        steward_s = requests.submit(s, "parcels", "cohort", kind=requests.RequestKind.RECORDS, spec=requests.Spec()).request_id
    places = [f"/v1/releases/{release['release']}", f"/v1/releases/{release['release']}/files/README.txt"]
    for token in (rob, beside):
        for place in places:
            answer = server.client.get(place, headers=as_(token))
            assert (answer.status_code, answer.json()["code"]) == (403, "refused")
            assert last(server)["reasons"] == {"not_yours": 1}
        answer = server.post(f"/v1/requests/{release['request']}/extracts", {}, **as_(token))
        assert (answer.status_code, answer.json()["code"]) == (403, "refused")
        assert server.client.get("/v1/releases", headers=as_(token)).json() == {"releases": []}
    assert server.post(f"/v1/requests/{steward_s}/extracts", {}).status_code == 403
    for place in ("/v1/releases/rel-0123456789abcdef", "/v1/releases/rel-0123456789abcdef/files/README.txt"):
        assert server.client.get(place).json()["code"] == "refused"


@pytest.mark.parametrize("scope", list(TokenScope))
def test_each_route_wants_its_scope(server, release, scope):
    with opened(server.folder) as s:
        token = as_(served.issue(s, "rita", scope, project="parcels"))
    looks = 200 if scope in (TokenScope.DOWNLOAD, TokenScope.EXTRACT) else 403
    assert server.client.get("/v1/releases", headers=token).status_code == looks
    assert server.client.get(f"/v1/releases/{release['release']}", headers=token).status_code == looks
    fetched = file_of(server, release, "README.txt", **token)
    assert fetched.status_code == (200 if scope is TokenScope.DOWNLOAD else 403)
    made = server.post(f"/v1/requests/{release['request']}/extracts", {}, **token)
    assert made.status_code == (202 if scope is TokenScope.EXTRACT else 403)
    if scope is TokenScope.EXTRACT:
        delivered.ended(server, made.json()["release"])


def test_asked_again_while_it_is_on_its_way_it_is_one(server):
    request = delivered.asked(server, loci="all")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: server.post(f"/v1/requests/{request}/extracts", {}), range(4)))
    ids = {answer.json()["release"] for answer in answers if answer.status_code == 202}
    assert {answer.status_code for answer in answers} == {202}
    for one in ids:
        assert delivered.ended(server, one)["state"] == "ready"
    made = [one for one in server.client.get("/v1/releases").json()["releases"] if one["request"] == request]
    assert {one["release"] for one in made} == ids


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"format": "bcf"}, 202),
        ({"format": "parquet"}, 202),
        ({"format": "xlsx"}, 400),
        ({"format": "vcf", "layout": "wide"}, 400),
        ({"recipients": ["nosuch"]}, 202),
        ({"output": "/etc"}, 400),
    ],
)
def test_formats_are_those_of_the_command_line(server, release, how, status):
    answer = server.post(f"/v1/requests/{release['request']}/extracts", how)
    assert answer.status_code == status, answer.text
    if status == 202:
        found = delivered.ended(server, answer.json()["release"])
        assert found["state"] == ("refused" if "recipients" in how else "ready")


def test_who_withdraws_is_handed_out_no_more_at_once(server):
    found = delivered.extracted(server, delivered.asked(server, reason="to be withdrawn from"))
    assert file_of(server, found, SEALED).status_code == 200
    with opened(server.folder) as s:
        recording.withdraw(s, "S01")
    answer = file_of(server, found, SEALED, Range="bytes=5-9")
    assert (answer.status_code, answer.json()["code"]) == (403, "refused")
    assert last(server)["reasons"] == {"spool_ended": 1}
    anew = delivered.extracted(server, found["request"])
    assert (anew["state"], file_of(server, anew, SEALED).status_code) == ("ready", 200)


def test_a_request_taken_back_or_a_project_ended_ends_its_downloads(server):
    found = delivered.extracted(server, delivered.asked(server, reason="to be taken back"))
    assert file_of(server, found, "README.txt").status_code == 200
    server.post(f"/v1/requests/{found['request']}/withdraw", {"reason": "no longer needed"})
    assert file_of(server, found, "README.txt").status_code == 403
    with opened(server.folder) as s:
        vaults.approve(s, "brief", "cohort", people=["rita"], recipients=[{"name": "lab"}])
        token = as_(served.issue(s, "rita", *delivered.FETCH, project="brief"))
    request = server.post("/v1/requests", {**delivered.ASKED, "project": "brief"}, **token).json()["request"]
    made = server.post(f"/v1/requests/{request}/extracts", {}, **token).json()["release"]
    while server.client.get(f"/v1/releases/{made}", headers=token).json()["state"] != "ready":
        pass
    assert server.client.get(f"/v1/releases/{made}/files/README.txt", headers=token).status_code == 200
    with opened(server.folder) as s:
        projects.change(s, "brief", "suspend", reason="x")
    assert server.client.get(f"/v1/releases/{made}/files/README.txt", headers=token).status_code == 403


def test_a_file_that_is_not_as_it_was_written_is_not_sent(server):
    found = delivered.extracted(server, delivered.asked(server, reason="to be damaged"))
    folder = server.folder / "spool" / found["release"]
    (folder / "README.txt").write_bytes(b"cut")
    assert file_of(server, found, "README.txt").status_code == 403
    (folder / "LIMITS.txt").unlink()
    (folder / "LIMITS.txt").symlink_to("/etc/passwd")
    assert file_of(server, found, "LIMITS.txt").status_code == 403
    shutil.rmtree(folder)
    assert file_of(server, found, SEALED).status_code == 403
    assert server.client.get(f"/v1/releases/{found['release']}").json()["state"] == "expired"


def test_a_revoked_token_fetches_nothing_more(server, release):
    with opened(server.folder) as s:
        token = served.issue(s, "rita", TokenScope.DOWNLOAD, project="parcels")
    assert file_of(server, release, "README.txt", **as_(token)).status_code in (200, 403)
    with opened(server.folder) as s:
        access_tokens.revoke(s, token.split("_")[1])
    assert file_of(server, release, "README.txt", Range="bytes=1-2", **as_(token)).status_code == 401


def test_the_log_of_it_all_holds(server):
    with opened(server.folder) as s:
        assert not verified(s).findings


def raw_status(server, path):
    """Status of an answer to a path as it stands, which no client has made plain."""
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=20) as connection:
        shown = server.client.headers["Authorization"]
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {shown}\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(4_000).split(b" ", 2)[1])


def leaves(server):
    with opened(server.folder) as s:
        return [json.loads(one.leaf) for one in s.trail.log.entries(0)]


def downloads(server):
    return [leaf for leaf in leaves(server) if (leaf["act"], leaf["outcome"]) == ("release.download", "done")]


def last(server):
    return [leaf for leaf in leaves(server) if leaf["outcome"] == "refused"][-1]
