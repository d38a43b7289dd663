"""A vault driven through its services, as the commands drive them: for tests at the level of the whole vault."""

from __future__ import annotations

import atexit
import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pysqlite3 import dbapi2
from sqlalchemy import MetaData, func, select

from policies.declarations import project_template
from policies.purposes import RequestKind
from vault import gate
from vault.access import projects, requests
from vault.audit.live_source import LogSource
from vault.audit.verify import VerificationReport, verify
from vault.consent import recording
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import PassphraseFactor
from vault.crypto.primitives import Argon2Profile
from vault.extracts.genotype_files import FileChoice
from vault.genotypes import import_job
from vault.genotypes.import_job import ImportOptions, ImportReport
from vault.ids import Clock, RandomBytes, SubjectId, utc_now
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.base import Base, KeysBase
from vault.storage.book_tables import SubjectRow
from vault.storage.database import Database
from vault.subjects.identities import open_identities
from vault.subjects.pseudonyms import pseudonyms

FORM = "broad-research"
FACTOR = PassphraseFactor.from_text("correct horse canary staple")

BEFORE = datetime(2026, 5, 31, tzinfo=UTC)
"""When a copied vault was made: before any time that a test's clock shows, since a clock that is behind the log counts for less."""

LOGGING = frozenset(
    {
        *("audit_leaf", "audit_head", "audit_tile", "audit_detail", "audit_session", "audit_checkpoint", "audit_closing"),
        *("audit_set", "audit_set_leaf", "audit_set_token"),  # whose genotypes an attempt opens is named before
        "branch_epoch",
    }
)
"""Tables that grow with every attempt, whatever comes of it: the log's, and the count of a branch's uses."""


@dataclass
class Held:
    """An open vault and a folder for files beside it."""

    folder: Path
    vault: UnlockedVault
    clock: Clock
    random: RandomBytes

    @staticmethod
    def make(folder: Path, *, clock: Clock = utc_now, random: RandomBytes = os.urandom) -> Held:
        """A new vault ``v`` in the folder, whose passphrase costs nothing to try."""
        if random is os.urandom:
            shutil.copytree(empty_vault(), folder / "v")
        else:
            _init(folder / "v", clock, random)
        return Held.of(folder, clock=clock, random=random)

    @staticmethod
    def of(folder: Path, *, clock: Clock = utc_now, random: RandomBytes = os.urandom) -> Held:
        """The vault ``v`` that lies in the folder."""
        return Held(folder, _opened(folder, clock, random), clock, random)

    def reopen(self) -> None:
        """Close the vault and open it again, as the next command does."""
        self.vault.close()
        self.vault = _opened(self.folder, self.clock, self.random)

    def write(self, name: str, data: bytes | str) -> Path:
        """A file beside the vault."""
        path = self.folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def load(self, *files: Path, name: str = "cohort", assembly: str = "GRCh38", **options: Any) -> ImportReport:
        """Import files; unknown samples are registered unless ``unknown`` says otherwise."""
        options.setdefault("unknown", "register")
        return import_job.import_files(self.vault, files, name=name, assembly=assembly, options=ImportOptions(**options))

    def answer(self, answers: Mapping[str, str]) -> None:
        """Record "yes" or "no" to research by reference."""
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(["subject", "legal_time", "research_use", "recontact", "signer", "evidence"])
        rows.writerows([reference, "", said, "", "self", ""] for reference, said in answers.items())
        recording.import_answers(self.vault, text.getvalue().encode(), FORM)

    def everyone_consents(self) -> None:
        """An acceptance from everyone who has not answered yet."""
        header, rows = recording.blank_sheet(self.vault, FORM, accept=True)
        text = io.StringIO()
        csv.writer(text).writerows([header, *rows])
        recording.import_answers(self.vault, text.getvalue().encode(), FORM)

    def project(self, code: str, dataset: str = "cohort", **disclosure: Any) -> None:
        """A project as the template declares it (phase kept), approved."""
        document = yaml.safe_load(project_template(code, dataset))
        document["disclosure"] |= disclosure
        projects.create(self.vault, document)
        projects.change(self.vault, code, "approve")

    def request(self, code: str, dataset: str = "cohort", *, regions: Sequence[str] = (), panel: str | None = None) -> str:
        """The id of a new request for records."""
        spec = requests.Spec(regions=tuple(regions), panel=panel)
        return requests.submit(self.vault, code, dataset, kind=RequestKind.RECORDS, spec=spec).request_id

    def extract(
        self,
        code: str,
        dataset: str = "cohort",
        *,
        out: str = "out",
        file_format: Any = "vcf",
        choice: FileChoice | None = None,
        **spec: Any,
    ) -> Path:
        """Request and extract; the folder."""
        folder = self.folder / out
        gate.extract(self.vault, self.request(code, dataset, **spec), folder, choice or FileChoice(file_format))
        return folder

    def names(self, code: str) -> dict[str, str]:
        """Pseudonym → first sample name of every subject held, worked out from keys and identities, not from any release."""
        book = self.vault.keys
        with self.vault.books.read() as tx:
            subjects = [SubjectId(s) for s in tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state == "active"))]
        people = open_identities(self.vault, subjects)
        key = book.open(KeyPurpose.PROJECT, projects.load(self.vault, code).project_id).secret.reveal()
        salts = book.open_many(KeyPurpose.PSEUDONYM_SALT, subjects)
        known = pseudonyms(key, domain=f"project:{code}", prefix=code, subjects=subjects, salts=salts)
        return {name: people[subject].samples[0] for name, subject in zip(known, subjects, strict=True)}

    def entries(self, first: int = 0) -> list[dict[str, Any]]:
        """The log's entries as its readers see them."""
        return [json.loads(entry.leaf or b"{}") for entry in self.vault.trail.log.entries(first)]

    def verified(self) -> VerificationReport:
        """Report of the offline verifier on the live log."""
        keys = "\n".join(key.to_text() for key in self.vault.trail.log_keys())
        return verify(LogSource(self.vault.trail.log, None), keys)

    def traces(self) -> dict[str, object]:
        """Rows of every table and names of all objects: what a refused import must leave as it was."""
        sizes = [*_sizes(self.vault.books, Base.metadata), *_sizes(self.vault._key_database, KeysBase.metadata)]
        counts: dict[str, object] = dict(sizes)
        return {**counts, "objects": sorted(name for name, _ in self.vault.objects.list(""))}


@cache
def empty_vault() -> str:
    """A vault in which nothing has happened, to be copied: making one takes the time of fifty copies."""
    folder = tempfile.mkdtemp(prefix="genovault-tests-")
    atexit.register(shutil.rmtree, folder)
    _init(Path(folder) / "v", lambda: BEFORE, os.urandom)
    return f"{folder}/v"


def _init(folder: Path, clock: Clock, random: RandomBytes) -> None:
    init(folder, steward="ann", factor=FACTOR, profile=Argon2Profile.TEST_ONLY, clock=clock, random=random)


def _opened(folder: Path, clock: Clock, random: RandomBytes) -> UnlockedVault:
    return open_recovered(folder / "v", factor=FACTOR, clock=clock, random=random)


def _sizes(database: Database, tables: MetaData) -> Iterable[tuple[str, int]]:
    with database.read() as tx:
        return [
            (table.name, tx.scalar(select(func.count()).select_from(table)) or 0)
            for table in tables.sorted_tables
            if table.name not in LOGGING
        ]


def stored(vault: Path) -> dict[object, object]:
    """Everything that is stored, but the log and what counts its writing."""
    found: dict[object, object] = {}
    for name in ("books.db", "keys.db"):
        connection = dbapi2.connect(f"file:{vault / name}?mode=ro", uri=True)
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if table not in LOGGING | {"high_water"} and not table.startswith("audit_"):
                found[name, table] = sorted(map(repr, connection.execute(f"SELECT * FROM {table}").fetchall()))
        connection.close()
    for path in (vault / "vault.json", vault / "keystore.a", vault / "keystore.b"):
        found[path.name] = path.read_bytes()
    found["objects"] = sorted(map(str, (vault / "objects").rglob("*")))
    return found
