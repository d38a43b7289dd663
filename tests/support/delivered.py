"""A served vault with a project ``parcels`` whose extracts are sealed to ``lab``, and what a researcher does with it over HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

from policies.token_scopes import TokenScope
from tests.support import parcels, served, vaults
from tests.support.served import Served
from tests.support.vaults import opened
from vault.access import recipients
from vault.crypto.crypt4gh_keys import fingerprint
from vault.session.unlocked_vault import UnlockedVault

FETCH = TokenScope.REQUEST, TokenScope.EXTRACT, TokenScope.DOWNLOAD
ASKED = {
    "format": "request/1",
    "project": "parcels",
    "dataset": "cohort",
    "loci": {"regions": ["22:1000-3000"]},
    "reason": "variants near a drug's target",
}
ENDED = ("ready", "refused", "failed", "stopped", "expired")


def staffed(folder: Path) -> str:
    """A vault as of ``served.staffed``, with the project; rita's token for it."""
    served.staffed(folder)
    with opened(folder / "v") as s:
        known(s, "lab", 1)
        vaults.approve(s, "parcels", "cohort", people=["rita", "rob"], recipients=[{"name": "lab"}])
        return served.issue(s, "rita", *FETCH, project="parcels")


def known(s: UnlockedVault, name: str, number: int) -> None:
    """A confirmed recipient whose key is ``parcels.pair`` of a number."""
    public = parcels.pair(number).public
    recipients.add(s, name, parcels.public_key_armour(public).encode())
    recipients.confirm(s, name, fingerprint(public))


def asked(server: Served, **changes: Any) -> str:
    """Id of a new request."""
    answer = server.post("/v1/requests", {**ASKED, **changes})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request"])


def extracted(server: Served, request: str, **how: Any) -> dict[str, Any]:
    """A release of a request, once it is ready or has ended otherwise."""
    answer = server.post(f"/v1/requests/{request}/extracts", how)
    assert answer.status_code == 202, answer.text
    return ended(server, answer.json()["release"])


def ended(server: Served, release: str) -> dict[str, Any]:
    """A release once nothing of it is in the making."""
    while (found := server.client.get(f"/v1/releases/{release}").json())["state"] not in ENDED:
        time.sleep(0.05)
    return dict(found)


def fetched(server: Served, release: dict[str, Any], folder: Path) -> Path:
    """The folder of a release, as it was downloaded."""
    folder.mkdir()
    for file in [*release["files"], {"name": "manifest.json.tlog-proof"}]:
        answer = server.client.get(f"/v1/releases/{release['release']}/files/{file['name']}")
        assert answer.status_code == 200, answer.text
        (folder / file["name"]).write_bytes(answer.content)
    return folder


def as_(token: str) -> dict[str, str]:
    """Headers that show a token."""
    return {"Authorization": f"Bearer {token}"}


def file_of(server: Served, release: dict[str, Any], name: str, **headers: str) -> httpx.Response:
    """Answer to a download."""
    return server.client.get(f"/v1/releases/{release['release']}/files/{name}", headers=headers)
