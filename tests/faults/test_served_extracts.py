"""A server killed while it makes extracts: afterwards nothing is half there, what was ready is handed out, and what was asked for is made."""

from __future__ import annotations

import signal
import time

import httpx
import pytest

from tests.support import delivered, served
from tests.support.vaults import opened, verified
from vault.access import releases


@pytest.mark.long
def test_killed_in_the_middle_of_an_extract_nothing_is_half_visible(tmp_path):
    token = delivered.staffed(tmp_path)
    spool = tmp_path / "v" / "spool"
    asked = []
    with served.serving(tmp_path / "v", token=token) as it:
        ready = delivered.extracted(it, delivered.asked(it))
        whole = delivered.file_of(it, ready, "genotypes.vcf.gz.c4gh").content
        requests = [delivered.asked(it, loci="all", reason=f"the {n}") for n in range(3)]
        asked = [it.post(f"/v1/requests/{request}/extracts", {}).json()["release"] for request in requests]
        while not any(path.name.startswith(".genovault-") and path.is_dir() for path in spool.iterdir()):
            time.sleep(0.001)
        it.process.send_signal(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            it.client.get("/v1/releases")
    with served.serving(tmp_path / "v", token=token) as it:
        again = [it.post(f"/v1/requests/{request}/extracts", {}).json()["release"] for request in requests]
        found = [delivered.ended(it, one) for one in asked]
        assert [one["state"] for one in found] == ["ready"] * 3
        now = [one["release"] for one in found]
        assert now != asked, "the one that was being made was stopped, and has another id"
        for one, followed, by_post in zip(asked, now, again, strict=True):
            assert by_post in (one, followed) or it.client.get(f"/v1/releases/{by_post}").json()["release"] == by_post
            assert delivered.ended(it, by_post)["state"] == "ready"
        listed = {one["release"]: one["state"] for one in it.client.get("/v1/releases").json()["releases"]}
        assert {listed[one] for one in now} == {"ready"}
        assert {listed[one] for one in set(asked) - set(now)} == {"stopped"}
        assert delivered.file_of(it, ready, "genotypes.vcf.gz.c4gh").content == whole
        for one in {*asked, *now}:
            answer = it.client.get(f"/v1/releases/{one}/files/manifest.json")
            assert answer.status_code == (200 if one in now else 403)
        while any(path.name.startswith(".genovault-") for path in spool.iterdir()):
            time.sleep(0.05)  # an empty folder, made before its intent: the server's first look takes it away
        folders = {path.name for path in spool.iterdir() if path.is_dir()}
        assert folders == {one for one, state in listed.items() if state == "ready"}
    with opened(tmp_path / "v") as s:
        assert not releases.unfinished(s)
        assert not verified(s).findings


@pytest.mark.long
def test_ended_in_the_middle_of_an_extract_it_is_made_after_the_next_start(tmp_path):
    token = delivered.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it:
        request = delivered.asked(it, loci="all")
        asked = it.post(f"/v1/requests/{request}/extracts", {}).json()["release"]
    with served.serving(tmp_path / "v", token=token) as it:
        found = delivered.ended(it, asked)
        assert found["state"] == "ready"
        assert delivered.file_of(it, found, "manifest.json").status_code == 200
    with opened(tmp_path / "v") as s:
        assert not releases.unfinished(s)
        assert not verified(s).findings


@pytest.mark.long
def test_killed_a_sealed_server_goes_on_when_it_is_unsealed(tmp_path):
    token = delivered.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it:
        request = delivered.asked(it, loci="all")
        asked = it.post(f"/v1/requests/{request}/extracts", {}).json()["release"]
        it.process.send_signal(signal.SIGKILL)
    place = tmp_path / "socket"
    with served.serving(tmp_path / "v", "--unix", str(place), token=token, sealed=True, socket_of=place) as it:
        assert it.client.get(f"/v1/releases/{asked}").status_code == 503
        assert it.post("/v1/sys/unseal", {"passphrase": served.PASSPHRASE}).status_code == 204
        assert delivered.ended(it, asked)["state"] == "ready"
