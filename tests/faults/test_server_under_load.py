"""A server that is ended or killed while many ask: every answer that was given has its entry, and the next server goes on."""

from __future__ import annotations

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support import served
from tests.support.vaults import opened, verified

GENOTYPES = "/v1/projects/served/panels/pgx/genotypes"
ASKERS = 6
FEW = 5  # answers after which it is ended


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_ended_under_load_every_answer_given_has_its_entry(tmp_path, how):
    token = served.staffed(tmp_path)
    given, broken, enough = [], [], threading.Event()
    with served.serving(tmp_path / "v", token=token) as it, ThreadPoolExecutor(ASKERS) as pool:

        def ask() -> None:
            with httpx.Client(base_url=it.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
                while True:
                    try:
                        answer = client.post(GENOTYPES, json={"dataset": "cohort"})
                    except httpx.TransportError as error:
                        broken.append(error)
                        enough.set()
                        return
                    given.append((answer.status_code, answer.json()["entry"]))
                    if len(given) >= FEW:
                        enough.set()

        asked = [pool.submit(ask) for _ in range(ASKERS)]
        assert enough.wait(120)
        it.process.send_signal(how)
        code = it.process.wait(60)
        for one in asked:
            one.result()
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{it.url}/livez", timeout=60)
    assert len(given) >= FEW
    assert len(broken) == ASKERS, "nobody was kept waiting"
    assert code == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    assert {status for status, _ in given} == {200}
    with opened(tmp_path / "v") as s:
        leaves = [json.loads(entry.leaf) for entry in s.trail.log.entries(0)]
        assert len({entry for _, entry in given}) == len(given)
        for _, entry in given:
            assert (leaves[entry]["act"].split(".")[0], leaves[entry]["outcome"]) == ("view", "done")
        assert not verified(s).findings
    with served.serving(tmp_path / "v", token=token) as it:
        assert it.post(GENOTYPES, {"dataset": "cohort"}).status_code == 200
