"""A small vault with everything in it, made once per process and copied for tests that change it.

Twelve people in two datasets: ``cohort`` has two parts (contigs 22 and 21; the first in two chunks), ``other`` one. S01..S10 accept
broad research, S11 declines, S12 accepts and withdraws. Project ``demo`` is approved, panel ``pgx`` made, one request open.
"""

from __future__ import annotations

import atexit
import functools
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from pysqlite3 import dbapi2

from policies.declarations import project_template
from policies.purposes import RequestKind
from tests.support.vcf_text import SmallVcf, vcf
from vault.access import projects, requests
from vault.audit.live_source import LogSource
from vault.audit.verify import VerificationReport, verify
from vault.consent import cohort_decisions, recording
from vault.crypto import keystore
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.files.csv_sheets import write_sheet
from vault.files.yaml_documents import parse_yaml
from vault.genotypes import import_job
from vault.genotypes.catalog import dataset_reader, datasets, panels
from vault.genotypes.loci import parse_loci
from vault.genotypes.store.selections import Selection
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.session.settings import IN_FOLDER, Places
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects import sheet_import
from vault.subjects.subject_sheet import read_subject_sheet

PASSPHRASE = "correct horse canary staple"
FACTOR = PassphraseFactor.from_text(PASSPHRASE)
TODAY = date(2026, 6, 1)
SAMPLES = tuple(f"S{i:02}" for i in range(1, 13))
PERMITTED = SAMPLES[:10]
SHEET = "sample_id,mrn,name,birth_date,sex,country,diagnoses\n" + "".join(
    f"{sample},MRN{at:04},Person {at},19{50 + at}-02-03,{'FM'[at % 2]},DE,MONDO:0007254\n" for at, sample in enumerate(SAMPLES, 1)
)


def gts(site: int, *, carriers: tuple[int, ...] = ()) -> str:
    """One GT for each sample, different enough between people to tell them apart."""
    return " ".join("0|1" if i in carriers or ((site >> i % 4) & 1 and (site + i) % 3) else "0|0" for i in range(len(SAMPLES)))


@functools.cache
def cohort22() -> SmallVcf:
    """More sites than one chunk holds."""
    return vcf(" ".join(SAMPLES), *(f"22 {1000 + 10 * n} A G {gts(n)}" for n in range(16_384 + 40)))


@functools.cache
def cohort21() -> SmallVcf:
    return vcf(" ".join(SAMPLES), *(f"21 {500 + 7 * n} C T,G {gts(n)}" for n in range(30)))


@functools.cache
def tiny() -> SmallVcf:
    return vcf(" ".join(SAMPLES), *(f"22 {1000 + 10 * n} A G {gts(n + 1)}" for n in range(12)))


def make(folder: Path, *, places: Places = IN_FOLDER, whole: bool = True) -> None:
    """The vault, step by step as a steward works; not ``whole``: one small dataset only."""
    init(folder, steward="ann", factor=FACTOR, places=places, profile=Argon2Profile.TEST_ONLY)
    with opened(folder) as s:
        sheet_import.import_sheet(s, read_subject_sheet(SHEET.encode(), today=TODAY))
        bring(s, cohort22() if whole else tiny(), "cohort")
        if whole:
            bring(s, cohort21(), "cohort", append=True)
            bring(s, tiny(), "other")
        answer(s)
        recording.withdraw(s, "S12")
        approve(s, "demo", *(("cohort", "other") if whole else ("cohort",)))
        panel(s)
        requests.submit(s, "demo", "cohort", kind=RequestKind.RECORDS, spec=requests.Spec(regions=("22:1-1200",)))


def bring(s: UnlockedVault, file: SmallVcf, name: str, *, append: bool = False, **options: object) -> import_job.ImportReport:
    """Import a file made of text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.vcf"
        path.write_bytes(file.data)
        return import_job.import_files(
            s, [path], name=name, assembly="GRCh38", options=import_job.ImportOptions(append=append, **options)
        )


def answers(s: UnlockedVault, *, decline: tuple[str, ...] = ("S11",), form: str = "broad-research") -> bytes:
    """ANSWERS.csv in which everyone accepts but those who decline."""
    header, rows = recording.blank_sheet(s, form, accept=True)
    filled = [[("no" if v == "yes" else v) for v in r] if r[0].removeprefix("sample:") in decline else r for r in rows]
    out = io.StringIO()
    write_sheet(out, columns=header, rows=filled)
    return out.getvalue().encode()


def answer(s: UnlockedVault, *, decline: tuple[str, ...] = ("S11",)) -> None:
    recording.import_answers(s, answers(s, decline=decline), "broad-research")


def approve(s: UnlockedVault, code: str, *names: str, **changes: object) -> None:
    """A project over some datasets, approved by the one steward there is."""
    document = parse_yaml(project_template(code, names[0]).encode(), name="template") | {
        "datasets": list(names),
        "people": ["engine", "matcher"],
    }
    projects.create(s, document | changes)
    projects.change(s, code, "approve")


def panel(
    s: UnlockedVault, name: str = "pgx", dataset: str = "cohort", loci: bytes = b"22\t999\t1030\n22\t99999998\t99999999\n"
) -> None:
    panels.create(s, name, parse_loci(loci, name="loci"), dataset_id=datasets.by_name(s, dataset).dataset_id)


def ask(s: UnlockedVault, *, dataset: str = "cohort", regions: tuple[str, ...] = ("22:1-1200",), project: str = "demo") -> str:
    """A new request's id."""
    return requests.submit(s, project, dataset, kind=RequestKind.RECORDS, spec=requests.Spec(regions=regions)).request_id


def add_role(folder: Path, role: Role) -> PassphraseFactor:
    """A further slot; its principal is the role's name."""
    factor = PassphraseFactor.from_text(f"passphrase of the {role.value}")
    unlocked = keystore.load(folder).unlock(FACTOR, principal="ann")
    profile = Argon2Profile.TEST_ONLY
    keystore.add_slot(unlocked, principal=role.value, role=role, factor=factor, profile=profile, random=os.urandom)
    with opened(folder):  # an administrator's session brings the books up to the keystore
        return factor


@contextmanager
def opened(folder: Path, *, factor: PassphraseFactor = FACTOR, principal: str | None = "ann") -> Iterator[UnlockedVault]:
    """An opened vault, recovered first; closed without signing where the block fails."""
    s = open_recovered(folder, factor=factor, principal=principal)
    try:
        yield s
    except BaseException:
        s.abandon()
        raise
    s.close()


def verified(s: UnlockedVault) -> VerificationReport:
    """The offline verifier's report on the live log, by the key that the keystore vouches for."""
    return verify(LogSource(s.trail.log, None), s.trail.log_keys()[0].to_text())


def read_all(s: UnlockedVault, name: str = "cohort") -> dataset_reader.Calls:
    """Every genotype of a dataset, opened past the gate: what an attack on stored bytes would have to change."""
    dataset = datasets.by_name(s, name)
    with s.books.read() as tx:
        everyone = cohort_decisions.members(s, tx, [dataset.dataset_id]).subjects
    return dataset_reader.read(s, dataset, Selection(), everyone, s.keys.open_many(KeyPurpose.GENOTYPE, everyone))


@functools.cache
def template(*, whole: bool = True) -> Path:
    """The vault that tests copy; it is never changed itself."""
    folder = Path(tempfile.mkdtemp(prefix="genovault-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make(folder / "v", whole=whole)
    return folder / "v"


def copy(folder: Path, *, whole: bool = True) -> Path:
    """A copy of the template to change at will."""
    shutil.copytree(template(whole=whole), folder / "v")
    return folder / "v"


def sql(path: Path, *statements: str | tuple[str, tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Edit a database with direct access to the file: triggers dropped. Rows of the last statement."""
    connection = dbapi2.connect(str(path))
    try:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        rows: list[tuple[object, ...]] = []
        for statement in statements:
            text, parameters = (statement, ()) if isinstance(statement, str) else statement
            rows = connection.execute(text, parameters).fetchall()
        connection.commit()
        return rows
    finally:
        connection.close()
