"""Tokens that are bound, by command: what they are bound to is told, and what is no certificate or network is refused before anything is made."""

from __future__ import annotations

import pytest

from tests.support.certificates import certificate
from vault.access.token_bindings import fingerprint

TOKEN = "principal token rita --project second --scope read --json"


@pytest.fixture
def people(consented):
    consented.run("principal add rita --role researcher")
    consented.run("project template --code second --dataset cohort > second.yaml")
    consented.write("second.yaml", (consented.folder / "second.yaml").read_text() + "people: [rita]\n")
    consented.script("project create second.yaml", "project approve second")
    return consented


def test_a_token_says_what_it_is_bound_to_wherever_it_is_listed(people, tmp_path):
    pem, key = certificate(tmp_path, "rita")
    made = people.run(f"{TOKEN} --client-cert {pem} --from 10.1.0.0/16 --from 2001:db8::/32").json
    mark = fingerprint(pem.read_bytes())
    assert (made["bound"], made["certificate"], made["networks"]) == (True, mark, ["10.1.0.0/16", "2001:db8::/32"])
    free = people.run(TOKEN).json
    assert (free["bound"], free["certificate"], free["networks"]) == (False, "", [])
    listed = {one["accessor"]: one for one in people.run("principal tokens --json").json["tokens"]}
    assert listed[made["accessor"]]["certificate"] == mark
    shown = people.run("principal tokens").out
    assert mark[:16] in shown
    before = len(listed)
    assert people.try_(f"{TOKEN} --client-cert {key}").error == "certificate_malformed"
    assert people.try_(f"{TOKEN} --from 10.1.0.1/16").error == "network_malformed"
    assert people.try_(f"{TOKEN} --client-cert nosuch.pem").error == "file_unreadable"
    assert len(people.run("principal tokens --json").json["tokens"]) == before
    assert people.run(f"principal revoke {made['accessor']} --json").json["bound"]
