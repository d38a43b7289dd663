"""Askers do not keep each other waiting: one bearer's refusals hold no thread, and its requests wait behind themselves."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from policies.token_scopes import TokenScope
from tests.support import served
from tests.support.vaults import opened

REFUSED = "/v1/projects/served/counts"  # the project does not declare counts
MANY = 96


def test_a_bearer_who_is_refused_all_the_time_keeps_nobody_waiting(tmp_path):
    token = served.staffed(tmp_path)
    with opened(tmp_path / "v") as s:
        other = served.issue(s, "rob", TokenScope.ENGINE)
    refused, begun = [], threading.Event()

    def ask(client: httpx.Client) -> None:
        headers = {"Authorization": f"Bearer {other}"}
        answer = client.post(REFUSED, json={"dataset": "cohort", "kind": "counts", "alleles": ["22:1000:A:G"]}, headers=headers)
        refused.append(answer.status_code)
        begun.set()

    limits = httpx.Limits(max_connections=32)
    with (
        served.serving(tmp_path / "v", token=token) as it,
        httpx.Client(base_url=it.url, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(32) as pool,
    ):
        asked = [pool.submit(ask, client) for _ in range(MANY)]
        begun.wait(60)
        for _ in range(6):
            assert it.client.get("/v1/projects").status_code == 200
        answered = len(refused)
        for one in asked:
            one.result()
    assert answered < MANY, "the other's requests did not wait for all of these"
    assert set(refused) == {403}
