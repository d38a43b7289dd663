"""Nothing private in the margins (docs/architecture.md §3, rule 7): the whole path from Python, failures too, with every logger at DEBUG."""

from __future__ import annotations

import gc
import gzip
import logging
import sys
import tempfile
import traceback

import numpy as np
import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.vaults import PASSPHRASE, opened
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import releases, requests
from vault.consent import ledger, people, recording
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import Argon2Profile
from vault.errors import GenovaultError
from vault.genotypes import import_job
from vault.operations.create import init
from vault.session.unlocked_vault import open_vault
from vault.storage.book_tables import SubjectRow
from vault.subjects import references, registry, sheet_import

NAME, MRN, BIRTH, SAMPLE = "Canarina Vogelsang", "MRN-CANARY-7317", "1971-03-17", "CANARY_SAMPLE_42"
STRAY = "CANARY_STRAY_43"  # a reference that nobody has
ALLELE = "GATTACAGATTACAGATTACATTTACCCGGGATTACA"  # on one person alone
PLACE = 43_454_321  # and where it stands
WORDS = tuple(word.encode() for word in (NAME, "Vogelsang", MRN, BIRTH, SAMPLE, STRAY, "CANARY", ALLELE, str(PLACE), PASSPHRASE))
SHEET = f"sample_id,mrn,name,birth_date\n{SAMPLE},{MRN},{NAME},{BIRTH}\nB,2,Ben,\nC,3,Cleo,\n".encode()
COHORT = vcf(f"{SAMPLE} B C", "22 100 A G 0|1 1|1 0|0", f"22 {PLACE} C {ALLELE} 0|1 0|0 0|0", "22 43454399 C T 0|0 0|1 1|1")
BAD = (
    COHORT.text.replace("0|1 1|1", "0|9 1|1").encode() if "0|1 1|1" in COHORT.text else COHORT.data.replace(b"\t0|1", b"\t0|9", 1)
)


class Keeper(logging.Handler):
    """All that was ever logged, as text, with whatever stands in the record."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage() + repr(record.args) + str(record.exc_info))


class Watched:
    """A run of the path and everything it left: logs, errors, files, representations."""

    def __init__(self, folder):
        self.folder = folder
        self.vault = folder / "v"
        self.errors = []
        self.shown = []
        self.private = [*WORDS]

    def fail(self, call):
        try:
            call()
        except GenovaultError as error:
            self.errors.append("".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)))
        else:
            raise AssertionError("this was meant to fail")

    def keep(self, *objects):
        self.shown += [repr(item) + str(item) for item in objects]
        return objects[0]

    def run(self):
        init(self.vault, steward="ann", factor=vaults.FACTOR, profile=Argon2Profile.TEST_ONLY)
        self.fail(lambda: open_vault(self.vault, factor=vaults.PassphraseFactor.from_text(PASSPHRASE + "x")))
        with opened(self.vault) as s:
            self.keep(s, s.keys, s.unlocked, s.keyring, s.public, s.trail.log, s.books, s.objects, vaults.FACTOR)
            rows = self.keep(vaults.read_subject_sheet(SHEET, today=vaults.TODAY))
            sheet_import.import_sheet(s, rows)
            self.fail(lambda: sheet_import.import_sheet(s, rows))
            sheet_import.import_sheet(s, rows, options=sheet_import.SheetOptions(update=True))
            self.keep(people.listed(s), people.find(s, MRN), *registry.subject_show(s, f"mrn:{MRN}"))
            self.fail(lambda: registry.subject_show(s, STRAY))
            self.genotypes(s)
            self.consent(s)
            self.release(s)
            self.secrets(s)
            self.database_files()

    def genotypes(self, s):
        vaults.bring(s, COHORT, "cohort")
        file = self.folder / "bad.vcf"
        file.write_bytes(BAD)
        self.fail(lambda: import_job.import_files(s, [file], name="b", assembly="GRCh38", options=import_job.ImportOptions()))
        self.fail(lambda: vaults.bring(s, vcf(f"{STRAY} X", "22 1 A G 0|1 0|1"), "other"))
        file.unlink()

    def consent(self, s):
        recording.import_answers(
            s, f"subject,research_use,signer\nmrn:{MRN},yes,self\nB,yes,self\nC,yes,self\n".encode(), "broad-research"
        )
        for bad in (
            f"{STRAY},yes,self",
            f"{SAMPLE},maybe,self",
            f"{SAMPLE},yes,guardian\n{SAMPLE},yes,self",
            f"{SAMPLE},yes,{NAME}",
        ):
            sheet = f"subject,research_use,signer\n{bad}\n".encode()
            self.fail(lambda sheet=sheet: recording.import_answers(s, sheet, "broad-research"))
        self.fail(lambda: recording.withdraw(s, STRAY))
        self.fail(lambda: recording.withdraw(s, SAMPLE, scope=STRAY))
        self.keep(recording.history(s, SAMPLE))
        with s.books.read() as tx:
            self.keep(ledger.read(tx, s))

    def release(self, s):
        vaults.approve(s, "demo", "cohort")
        vaults.panel(s, loci=b"22\t99\t100\n")
        with s.books.read() as tx:
            project = vaults.projects.load(s, "demo")
            dataset = vaults.datasets.by_name(s, "cohort")
            decided = vaults.cohort_decisions.decide(s, tx, project.declaration.purpose, [dataset.dataset_id], legal_at=s.clock())
            self.keep(decided, project, dataset)
        asked = vaults.ask(s, regions=())
        self.keep(requests.load(s, asked), *vaults.panels.list_all(s), gate.check(s, "demo"))
        self.keep(gate.view(s, project="demo", dataset="cohort"), gate.extract(s, asked, self.folder / "out"))
        self.fail(lambda: gate.view(s, project=STRAY[:5].lower(), dataset="cohort"))
        self.fail(lambda: gate.extract(s, asked, self.folder / "out"))
        recording.withdraw(s, SAMPLE)
        again = vaults.ask(s, regions=())
        gate.extract(s, again, self.folder / "again")  # the allele stood on one person alone, who is not in it any more
        self.keep(*releases.list_all(s))
        for broken in (self.vault / "objects").rglob("*.blocks"):
            broken.write_bytes(b"")

    def secrets(self, s):
        """Ids and keys of subjects: in no text, however spelled."""
        with s.books.read() as tx:
            self.ids = list(tx.scalars(select(SubjectRow.subject_id)))
        keys = [
            key for purpose in (KeyPurpose.GENOTYPE, KeyPurpose.IDENTITY) for key in s.keys.open_many(purpose, self.ids).values()
        ]
        keys += [s.keyring.current(branch)[1].reveal() for branch in vaults.keystore.Branch]
        self.keys = keys
        self.texts = [
            spelled for secret in [*self.ids, *keys] for spelled in (secret, secret.hex().encode(), repr(secret)[2:-1].encode())
        ]

    def database_files(self):
        """Databases with their write-ahead logs, as a thief finds them while the vault is open."""
        self.stolen = {path.name: path.read_bytes() for path in self.vault.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaks")
    keeper, loggers = Keeper(), [logging.getLogger(), *(logging.getLogger(n) for n in list(logging.root.manager.loggerDict))]
    loggers += [
        logging.getLogger(name) for name in ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "sqlalchemy.orm", "alembic")
    ]
    levels = [(logger, logger.level) for logger in loggers]
    temporary, before = folder / "temp", tempfile.tempdir
    temporary.mkdir()
    run = Watched(folder)
    run.opened = []
    watching = [True]

    def hook(event, arguments):
        if watching and event in {"open", "os.rename", "os.mkdir", "subprocess.Popen", "os.exec", "os.posix_spawn"}:
            run.opened.append(repr(arguments))

    sys.addaudithook(hook)  # stays, so it is told when to stop listening
    try:
        tempfile.tempdir = str(temporary)
        logging.getLogger().addHandler(keeper)
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
        run.run()
    finally:
        watching.clear()
        tempfile.tempdir = before
        logging.getLogger().removeHandler(keeper)
        for logger, level in levels:
            logger.setLevel(level)
    run.logged = "\n".join(keeper.lines)
    run.left = list(temporary.rglob("*"))
    return run


def leaks(data, words):
    data = data if isinstance(data, bytes) else data.encode()
    return [word for word in words if len(word) > 5 and word in data]


def test_logs(watched):
    assert leaks(watched.logged, [*WORDS, *watched.texts]) == []


def test_errors(watched):
    """Messages, hints, fields, chains: references and values that a person typed are not repeated."""
    assert len(watched.errors) == 13
    for error in watched.errors:
        assert leaks(error, [*WORDS, *watched.texts]) == []


def test_representations(watched):
    """The repr of our objects, as a debugger, a notebook or a traceback with locals prints it."""
    for shown in watched.shown:
        assert leaks(shown, [*WORDS, *watched.texts]) == []


@pytest.mark.parametrize("name", ["books.db", "books.db-wal", "vault.json", "keystore.a", "keystore.b"])
def test_the_books(watched, name):
    data = watched.stolen[name]
    assert leaks(data, WORDS) == []
    assert leaks(data, watched.keys) == []
    if name.startswith("books"):
        assert watched.ids[0] in b"".join(watched.stolen.values())  # random ids are what the books are about


@pytest.mark.parametrize("name", ["keys.db", "keys.db-wal"])
def test_the_keys(watched, name):
    assert leaks(watched.stolen[name], [*WORDS, *watched.keys]) == []


def test_objects(watched):
    paths = [path for path in (watched.vault / "objects").rglob("*") if path.is_file()]
    assert paths
    for path in paths:
        assert leaks(path.read_bytes() + str(path.relative_to(watched.vault)).encode(), [*WORDS, *watched.texts]) == []


def test_a_code_of_a_few_bytes_does_not_stand_in_the_objects_either(watched):
    """Short alleles and positions as they would be packed."""
    needles = [np.array([PLACE], dtype).tobytes() for dtype in ("<i4", ">i4", "<i8", ">i8")]
    for path in (watched.vault / "objects").rglob("*"):
        if path.is_file():
            assert not [n for n in needles if n in path.read_bytes()]


def test_log_entries(watched):
    with opened(watched.vault) as s:
        leaves = [entry.leaf for entry in s.trail.log.entries()]
    assert len(leaves) > 20
    for leaf in leaves:
        assert leaks(leaf, [*WORDS, *watched.texts]) == []


def test_file_names_temporary_files_and_programs_started(watched):
    names = "\n".join(str(path.relative_to(watched.folder)) for path in watched.folder.rglob("*"))
    assert leaks(names, [*WORDS, *watched.texts]) == []
    assert leaks("\n".join(watched.opened), [*WORDS, *watched.texts]) == []
    assert watched.left == []


def test_releases(watched):
    """Pseudonyms stand for people; who withdrew took the allele that only they carried along."""
    for folder in ("out", "again"):
        for path in (watched.folder / folder).iterdir():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            allowed = {ALLELE.encode(), str(PLACE).encode()} if folder == "out" else set()
            assert set(leaks(data, [*WORDS, *watched.texts])) <= allowed


def test_a_secret_of_the_session_is_not_kept_by_an_error(watched):
    """The frames of an error may be inspected: no passphrase as plain text in them."""
    del watched
    gc.collect()
    try:
        open_vault(vaults.template(whole=False), factor=vaults.PassphraseFactor.from_text("canary-phrase-99"))
    except GenovaultError as error:
        frame = error.__traceback__
        while frame is not None:
            if "/vault/" in frame.tb_frame.f_code.co_filename:
                assert "canary-phrase-99" not in repr(frame.tb_frame.f_locals)
            frame = frame.tb_next
    else:
        raise AssertionError("opened with a wrong passphrase")


def test_references_print_nothing(watched):
    with opened(watched.vault) as s:
        index = references.ReferenceIndex(s)
        assert leaks(repr(index), watched.texts) == []
