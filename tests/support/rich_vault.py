"""A vault with a row in nearly every table, to be edited."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from policies import canonical
from policies.token_scopes import TokenScope
from tests.support import after_release, counted_acts, criteria, vaults
from tests.support.parcels import pair
from tests.support.vaults import opened
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import (
    access_tokens,
    criteria_packs,
    extract_orders,
    outside_identities,
    project_versions,
    projects,
    recipients,
    reference_data,
    requests,
    rulings,
    stream_tickets,
)
from vault.access.disclosure import raises
from vault.access.extract_orders import ExtractOrder
from vault.access.stream_tickets import StreamAsked
from vault.access.token_bindings import TokenBinding
from vault.consent import recording
from vault.crypto.crypt4gh_keys import fingerprint, public_key_armour
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.extracts.genotype_files import FileChoice
from vault.genotypes.catalog import datasets, panel_builder, panels
from vault.operations import backup
from vault.operations.erasure import process as erasure
from vault.session import principals
from vault.session.on_behalf import OnBehalf
from vault.session.unlocked_vault import UnlockedVault


@dataclass(frozen=True)
class Rich:
    """A vault with a row in nearly every table, how it was before its last acts, and what it releases."""

    folder: Path
    earlier: Path
    released: object


def rich(folder: Path) -> Rich:
    """Make one in an empty folder."""
    vaults.make(folder / "v", whole=False)
    here = folder / "v"
    with opened(here) as s:
        principals.add(s, "matcher", Role.ENGINE, PassphraseFactor.from_text("passphrase"), profile=Argon2Profile.TEST_ONLY)
        panel_builder.build(s, datasets.by_name(s, "cohort"), panels.by_name(s, "pgx"))
        vaults.bring(s, vcf("S03", "22 1005 A G 0|1"), "cohort", append=True)
        gate.extract(s, vaults.ask(s), folder / "out")
        rulings.rule(s, "demo", "COL", reason="as the board said")
        project_versions.amend(s, {**canonical.loads(projects.load(s, "demo").declaration_text), "title": "Another"}, reason="x")
        for number, name in ((1, "lab"), (2, "clinic")):
            recipients.add(s, name, public_key_armour(pair(number).public).encode())
        factor = PassphraseFactor.from_text("passphrase of a custodian")
        for who in ("rita", "rob"):
            principals.add(s, who, Role.RESEARCHER, None)
        vaults.approve(s, "served", "cohort", people=["rita", "rob"])
        for who in ("rita", "rob"):
            binding = TokenBinding(networks=("10.1.0.0/16" if who == "rita" else "10.2.0.0/16",))
            until = s.clock() + timedelta(days=9)
            access_tokens.issue(s, who, project="served", scopes=[TokenScope.READ], expires=until, binding=binding)
            outside_identities.name(s, who, "https://id.example.org", who)
        with s.books.write() as tx:
            for accessor in ("one", "two"):
                stream_tickets.give(s, tx, accessor, StreamAsked("served", "cohort"), "0" * 64)
            for name in ("one", "two"):
                who = OnBehalf("rita", Role.RESEARCHER, "token")
                asked = ExtractOrder(f"rel-{name}", "r", who, FileChoice("vcf"), (), frozenset(), "elsewhere", s.clock())
                extract_orders.keep(s, tx, asked)
        principals.add(s, "cora", Role.CUSTODIAN, factor, profile=Argon2Profile.TEST_ONLY)
        after_release.half_resolved(s, here, factor=factor, second="cora")
        backup.backup_keys(s, folder / "backup", expires=s.clock() + timedelta(days=9))
        reference_data.load(s, "loci", json.dumps(_places()), version="1")
        for name in ("first", "second"):
            criteria_packs.add(s, criteria.CARRIER | {"name": name})
        erasure.erase(s, "S10")
    shutil.copytree(here, folder / "earlier")
    with opened(here) as s:
        recording.withdraw(s, "S09")
        requests.deny(s, vaults.ask(s), "a test")
        recipients.confirm(s, "lab", fingerprint(pair(1).public))
        recipients.confirm(s, "clinic", fingerprint(pair(2).public))
        recipients.retire(s, "clinic", reason="a test")
        criteria_packs.retire(s, "second", reason="a test")
        erasure.erase(s, "S08")
        raises.raise_budget(s, "demo", "0.5", reason="a test")
        counted_acts.leave_answers(s)
        reference_data.load(s, "loci", json.dumps(_places() | {"source": "y"}), version="2")
        rulings.rule(s, "demo", "COL", reason="taken back", allows=False)
        access_tokens.revoke(s, access_tokens.list_all(s)[0].accessor)
        gate.view(s, project="demo", dataset="cohort")
        gate.read_panel(s, project="demo", dataset="cohort", panel="pgx")
    with opened(here) as s:
        released = released_by(s)
    return Rich(here, folder / "earlier", released)


def released_by(s: UnlockedVault) -> object:
    """What leaves: of each pseudonym the calls at every site, of the dataset and of the panel."""
    made = (gate.view(s, project="demo", dataset="cohort", panel=panel) for panel in (None, "pgx"))
    return [
        sorted(
            zip(view.pseudonyms, (np.asarray(view.genotypes)[:, at].tobytes() for at in range(len(view.pseudonyms))), strict=True)
        )
        for view in made
    ]


def _places() -> dict[str, Any]:
    empty = {"genes": {"ZZ": ["9:1-5"]}, "categories": {}}
    return {"version": "1", "source": "x", "date": "2026-11-22", "assemblies": dict.fromkeys(_ASSEMBLIES, empty)}


_ASSEMBLIES = ("GRCh37", "GRCh38", "T2T-CHM13v2.0")
