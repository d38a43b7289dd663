"""A vault in which everything waits that a second steward can agree to, each thing twice: one to agree to, one to be changed meanwhile."""

from __future__ import annotations

from pathlib import Path

from policies.declarations import project_template
from tests.support import consoles, criteria, parcels
from tests.support.vaults import opened
from vault import gate
from vault.access import criteria_packs, named_people, projects, recipients, resolutions, rulings
from vault.access.disclosure import raises
from vault.consent import corrections, recording
from vault.crypto.keystore import PassphraseFactor
from vault.files.yaml_documents import parse_yaml
from vault.operations.corrections import merging
from vault.session.unlocked_vault import UnlockedVault

EVIDENCE = "ab" * 32
BOB = PassphraseFactor.from_text(consoles.WHO["bob"])
KEYS = {"lab": 1, "clinic": 2}
"""Recipients whose keys wait, by the number of their pair."""


def bring(vault: Path) -> dict[str, str]:
    """What ann proposes in a vault of ``consoles.staffed``; ids by name."""
    names: dict[str, str] = {}
    with opened(vault) as ann, opened(vault, factor=BOB, principal="bob") as bob:
        gate.view(ann, project="demo", dataset="cohort", panel="pgx")
        criteria.exact_panel(ann, "22:1000:A:G")
        for at, code in enumerate(("open", "ruled", "other"), 1):
            _ask_a_ruling(ann, bob, code)
            if code != "open":
                rulings.rule(ann, code, "controls", reason="they were asked")
            criteria_packs.add(ann, criteria.CARRIER | {"name": f"pack-{code}"})
            if at < 3:
                pseudonym = named_people.names_of(ann, f"S0{at}", project="demo", reason="x")[0].pseudonym
                names[f"resolution {at}"] = resolutions.open_request(
                    ann, pseudonym, project="demo", reason="a call"
                ).resolution_id
        for name, number in KEYS.items():
            recipients.add(ann, name, parcels.public_key_armour(parcels.pair(number).public).encode())
        recording.withdraw(ann, "S10")
        for who in ("S10", "S12"):
            event = names[f"event of {who}"] = recording.history(ann, who).events[-1].event_id
            corrections.correct(ann, event, reason="it was another Muster", evidence=EVIDENCE)
        for stays, goes in (("S08", "S09"), ("S06", "S07")):
            done = merging.merge(ann, stays, goes, reason="registered twice", accept=True)
            names[f"handle of {stays}"], names[f"handle of {goes}"] = done.stays, done.goes
        raises.raise_budget(ann, "served", "0.5", reason="they found much")
        raises.raise_budget(ann, "open", "0.25", reason="they found more")
    return names


def _ask_a_ruling(ann: UnlockedVault, bob: UnlockedVault, code: str) -> None:
    """An approved project whose purpose takes a ruling."""
    document = parse_yaml(project_template(code, "cohort").encode(), name="template")
    document["purpose"] = document["purpose"] | {"controls": True}
    projects.create(ann, document | {"people": ["rita"], "kinds": ["records", "counts"]})
    projects.change(bob, code, "approve")
