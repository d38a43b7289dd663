"""Who asks a server while its log is away, or after its slot was taken away: by the pages and ranges that are no first request."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from pysqlite3 import dbapi2

from tests.support import delivered, served
from tests.support.delivered import file_of
from tests.support.vaults import opened
from vault.session import principals

SEALED = "genotypes.vcf.gz.c4gh"
BROWSER = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def server(tmp_path):
    token = delivered.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it:
        yield it


def test_a_range_continues_no_download_whose_entry_was_not_written(server):
    release = delivered.extracted(server, delivered.asked(server))
    with closing(dbapi2.connect(str(server.folder / "books.db"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            answer = file_of(server, release, SEALED, Range="bytes=1-")
            assert answer.status_code == 503, "bytes left without an entry"
        writer.execute("ROLLBACK")
    until = time.monotonic() + 60  # the server says 503 a little longer, while its own writers take their turns
    while (status := file_of(server, release, SEALED, Range="bytes=1-").status_code) == 503 and time.monotonic() < until:
        time.sleep(0.2)
    assert status == 206


def test_a_page_of_whom_the_service_acts_for_ends_with_the_service_s_slot(server):
    token = server.client.headers["Authorization"].split(" ")[1]
    entered = server.client.post("/console/login", data={"access_token": token}, headers=BROWSER)
    assert entered.status_code == 303
    assert server.client.get("/console/requests").status_code == 200
    with opened(server.folder) as s:
        principals.disable(s, "service")
    assert server.client.get("/console/requests").status_code == 503
    assert server.client.get("/v1/sys/seal-status").json() == {"sealed": True}
