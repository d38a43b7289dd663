"""A vault of 130 people who allow matching, a panel of five loci and an approved pack: made once per process, and copied."""

from __future__ import annotations

import atexit
import csv
import functools
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from policies.declarations import project_template
from tests.support import criteria
from tests.support.counted import CARRIERS, COMMON, RARE, text
from tests.support.held import Held
from vault import gate
from vault.access import projects
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.gate.matching import MatchAnswer
from vault.session import principals
from vault.session.unlocked_vault import UnlockedVault, open_vault

FORM = "clinical-matching"
LOCI = {f"at{at}": f"22:{at}:A:G" for at in CARRIERS}
PACK = criteria.document(
    LOCI,
    ("common", {"carries": "at100"}),
    ("rare", {"carries": "at200"}),
    ("without", {"not": {"carries": "at100"}}),
    ("both", {"and": [{"carries": "at100"}, {"genotype": "at200", "is": ["het"]}]}),
    ("nobody", {"genotype": "at100", "is": ["hom"]}),
)


ENGINE = PassphraseFactor.from_text("passphrase of the engine")


@contextmanager
def engine_of(held: Held) -> Iterator[UnlockedVault]:
    """The vault, opened by an engine of the project."""
    principals.add(held.vault, "engine", Role.ENGINE, ENGINE, profile=Argon2Profile.TEST_ONLY)
    with closing(open_vault(held.folder / "v", factor=ENGINE, principal="engine")) as opened:
        yield opened


@functools.cache
def template() -> Path:
    """The folder that is copied."""
    folder = Path(tempfile.mkdtemp(prefix="genovault-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    held = Held.make(folder)
    held.load(held.write("in.vcf", text()), assayed="all")
    accept(held)
    criteria.exact_panel(held.vault, *LOCI.values())
    criteria.approved(held.vault, PACK)
    declare(held, "matching")
    held.vault.close()
    return folder / "v"


def make(folder: Path, *, random: Any = os.urandom) -> Held:
    """A copy of the template."""
    shutil.copytree(template(), folder / "v")
    return Held.of(folder, random=random)


def accept(held: Held, **answers: str) -> None:
    """An acceptance of matching from everyone who has not answered yet; ``answers`` by question instead."""
    header, rows = recording.blank_sheet(held.vault, FORM, accept=True)
    out = io.StringIO()
    csv.writer(out).writerows(
        [header, *([answers.get(name, value) for name, value in zip(header, row, strict=True)] for row in rows)]
    )
    recording.import_answers(held.vault, out.getvalue().encode(), FORM)


def declare(held: Held, code: str, *, disclosure: Any = None, **changes: Any) -> None:
    """An approved project for matching in place."""
    document = yaml.safe_load(project_template(code, "cohort"))
    document["purpose"] |= {"action": "matching"}
    document |= {
        "kinds": ["matching"],
        "people": ["engine"],
        "organisation": {"id": "https://ror.org/00f54p054", "name": "Example"},
    }
    document["disclosure"] |= disclosure or {}
    projects.create(held.vault, document | changes)
    projects.change(held.vault, code, "approve")


def ask(held: Held, label: str = "small@1", *, code: str = "matching", vault: Any = None, **where: str) -> MatchAnswer:
    """An answer to a program's question."""
    asked = {"project": code, "dataset": "cohort", "panel": "exact"} | where
    return gate.match(vault or held.vault, criteria=label, **asked)


def numbers(found: MatchAnswer) -> dict[str, int]:
    """How many match, by criterion."""
    return {one.id: len(one.matched) for one in found.criteria}


__all__ = ["COMMON", "FORM", "LOCI", "PACK", "RARE", "accept", "ask", "declare", "make", "numbers", "template"]
