"""A server killed while it makes extracts: afterwards nothing is half there, what was ready is handed out, and what was lost says so."""

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
        states = {one: it.client.get(f"/v1/releases/{one}").json()["state"] for one in asked}
        assert set(states.values()) <= {"ready", "stopped", "lost"}
        assert set(states.values()) & {"stopped", "lost"}, "something was not finished"
        listed = {one["release"]: one["state"] for one in it.client.get("/v1/releases").json()["releases"]}
        assert {one: listed[one] for one in asked} == states
        assert delivered.file_of(it, ready, "genotypes.vcf.gz.c4gh").content == whole
        for one, state in states.items():
            answer = it.client.get(f"/v1/releases/{one}/files/manifest.json")
            assert answer.status_code == (200 if state == "ready" else 403)
        while any(path.name.startswith(".genovault-") for path in spool.iterdir()):
            time.sleep(0.05)  # an empty folder, made before its intent: the server's first look takes it away
        folders = {path.name for path in spool.iterdir() if path.is_dir()}
        assert folders == {ready["release"], *(one for one, state in states.items() if state == "ready")}
        for request in requests:
            assert delivered.extracted(it, request)["state"] == "ready", "asked again, it is made"
    with opened(tmp_path / "v") as s:
        assert not releases.unfinished(s)
        assert not verified(s).findings


@pytest.mark.long
def test_ended_in_the_middle_of_an_extract_what_is_made_stops_and_says_so(tmp_path):
    token = delivered.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it:
        request = delivered.asked(it, loci="all")
        asked = it.post(f"/v1/requests/{request}/extracts", {}).json()["release"]
    with served.serving(tmp_path / "v", token=token) as it:
        state = delivered.ended(it, asked)["state"]
        assert state in ("ready", "stopped", "lost")
    with opened(tmp_path / "v") as s:
        assert not releases.unfinished(s)
        assert not verified(s).findings
