"""Erasure: nothing readable is left, nobody else loses anything, and a kill at any step is mended at the next open."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support import vaults
from tests.support.crashing import killed_at, steps_survived
from tests.support.vcf_text import vcf
from vault import gate
from vault.consent import people
from vault.crypto.envelope import open_blob
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch
from vault.errors import GenovaultError, IntegrityError
from vault.genotypes.store.part_records import Owner
from vault.genotypes.store.site_tables import SiteTable
from vault.ids import DatasetId, KeyId, PartId
from vault.operations import backup, doctor, key_rotation, restore
from vault.operations.erasure import job, process
from vault.operations.erasure.certificate import verify
from vault.session.unlocked_vault import open_vault
from vault.storage.book_tables import ChunkRow, PartRow, SubjectRow
from vault.storage.key_tables import SubjectTokenRow, WrappedKeyRow
from vault.subjects import registry
from vault.subjects.references import resolve

WHO = "S03"
PRIVATE = ("PRIVATEALLELE", "GATTACAGATTACA")  # what only WHO carries, spelt so that it can be looked for


def private_file():
    """Five sites: shared, private to S03, private ALT beside a shared one, private at the very end, absent in everybody."""
    names = " ".join(vaults.SAMPLES)

    def row(site: str, **calls: str) -> str:
        return f"{site} {' '.join(calls.get(sample, '0|0') for sample in vaults.SAMPLES)}"

    return vcf(
        names,
        row("20 100 A G", S03="0|1", S05="1|1"),
        row("20 200 A GATTACAGATTACA", S03="0|1"),
        row("20 300 A G,TTTTGATTACAGATTACA", S03="1|2", S05="0|1"),
        row("20 400 A C"),
        row("20 9000 C GATTACAGATTACA", S03="1|1"),
    )


@pytest.fixture
def vault(tmp_path) -> Path:
    """The small template vault and a dataset in which S03 alone carries some sites."""
    folder = vaults.copy(tmp_path, whole=False)
    with vaults.opened(folder) as s:
        vaults.bring(s, private_file(), "rare")
        vaults.approve(s, "rarity", "rare")
    return folder


def wrapped(s, subject: bytes) -> list[bytes]:
    with s._key_database.read() as tx:
        return list(tx.scalars(select(WrappedKeyRow.wrapped).where(WrappedKeyRow.owner == subject)))


def token(s, subject: bytes) -> str:
    with s._key_database.read() as tx:
        return tx.scalars(select(SubjectTokenRow.token).where(SubjectTokenRow.subject_id == subject)).one()


def bytes_under(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything_opened(s) -> bytes:
    """All site tables, as whoever holds the genotype branch reads them, and directories."""
    out = b""
    with s.books.read() as tx:
        rows = tx.execute(select(ChunkRow, PartRow).join(PartRow, PartRow.part_id == ChunkRow.part_id)).all()
    for chunk, part in rows:
        owner = Owner(s.vault_id, DatasetId(part.dataset_id), PartId(part.part_id))
        key_id = KeyId(chunk.table_key_id)
        key = s.keys.open_ids(KeyPurpose.SITE_TABLE, [key_id])[key_id]
        binding = owner.table_binding(chunk.ordinal, chunk.table_version, key_id)
        sites = SiteTable.from_bytes(open_blob(key, binding, s.objects.get(chunk.table_object))).sites
        out += sites.alleles.data.tobytes() + repr(sites.pos.tolist()).encode()
    return out


def test_no_byte_of_the_person_is_left_in_any_file(vault):
    with vaults.opened(vault) as s:
        subject = resolve(s, WHO)
        wraps, mark = wrapped(s, subject), token(s, subject)
        assert len(wraps) == 4
        process.erase(s, WHO)
        for path, data in bytes_under(vault).items():
            assert not any(wrap in data for wrap in wraps), path
            if not path.endswith(("books.db", "books.db-wal")):  # the log keeps the token, which nothing links any more
                assert mark.encode() not in data, path
        for name in (vault / "keys.db", vault / "keys.db-wal"):
            assert subject not in (name.read_bytes() if name.exists() else b""), name


def test_what_only_they_carried_is_blanked_and_the_rest_stays(vault):
    with vaults.opened(vault) as s:
        assert all(part in everything_opened(s) for part in (b"GATTACAGATTACA", b"9000"))
        before = gate.view(s, project="rarity", dataset="rare")
        certificate = process.erase(s, WHO)
        opened = everything_opened(s)
        assert b"GATTACA" not in opened
        assert b"9000" not in opened
        assert certificate.content["destroyed"]["alts_blanked"] == 3
        assert certificate.content["destroyed"]["directories_rewritten"] == 1
        after = gate.view(s, project="rarity", dataset="rare")
    assert before.sites.pos.tolist() == [100, 200, 300, 9000]
    assert after.sites.pos.tolist() == [100, 300]
    assert after.sites.alleles.items() == [b"A,G", b"A,G"]
    assert after.genotypes.shape[1] == before.genotypes.shape[1] - 1


def test_panels_are_made_anew_without_them(vault):
    with vaults.opened(vault) as s:
        before = gate.view(s, project="demo", dataset="cohort", panel="pgx")
        process.erase(s, WHO)
        after = gate.view(s, project="demo", dataset="cohort", panel="pgx")
    gone = set(before.pseudonyms) - set(after.pseudonyms)
    assert len(gone) == 1
    column = {name: before.genotypes[:, at].tolist() for at, name in enumerate(before.pseudonyms)}
    assert all(after.genotypes[:, at].tolist() == column[name] for at, name in enumerate(after.pseudonyms))


def test_nobody_finds_them_and_the_log_verifies_and_no_longer_links(vault):
    with vaults.opened(vault) as s:
        subject, mark = resolve(s, WHO), token(s, resolve(s, WHO))
        entries = s.trail.log.entries_of(mark)
        process.erase(s, WHO)
        for reference in (WHO, "MRN0003", f"sample:{WHO}"):
            with pytest.raises(GenovaultError) as caught:
                resolve(s, reference)
            assert caught.value.code == "subject_unknown"
        assert s.subject_keys.all_tokens([subject]) == {}
        assert entries  # they stay, under a code that nothing computes any more
        assert vaults.verified(s).ok
        states = [line.state for line in people.listed(s)]
        assert states.count("erased") == 1
        assert registry.subject_show(s, "S04")[1].name == "Person 4"
        assert doctor.examine(s).ok


def test_the_certificate_says_what_remains_and_is_signed(vault, tmp_path):
    with vaults.opened(vault) as s:
        gate.view(s, project="demo", dataset="cohort")
        made = backup.backup_keys(s, tmp_path / "kb", expires=s.clock() + timedelta(days=30))
        certificate = process.erase(s, WHO)
        content = verify(certificate.text, origin=s.trail.origin, public=s.public.release_sign)
        assert [release["project"] for release in content["releases"]] == ["demo"]
        assert [item["backup"] for item in content["key_backups"]] == [made.backup_id]
        assert content["horizon"] == made.as_dict()["expires"]
        assert process.issued(s) == [certificate]
        altered = certificate.text.replace('"keys": 4', '"keys": 5')
        with pytest.raises(IntegrityError):
            verify(altered, origin=s.trail.origin, public=s.public.release_sign)
    for name in (WHO, "Person 3", "MRN0003"):
        assert name not in certificate.text


def test_erasing_twice_is_unknown(vault):
    with vaults.opened(vault) as s:
        process.erase(s, WHO)
        with pytest.raises(GenovaultError) as caught:
            process.erase(s, WHO)
    assert caught.value.code == "subject_unknown"


def test_chunks_that_are_not_blanked_yet_are_refused(vault, monkeypatch):
    with vaults.opened(vault) as s:

        def stop(*_args: object) -> None:
            raise RuntimeError("power cut")

        monkeypatch.setattr(process, "purge", stop)
        with pytest.raises(RuntimeError):
            process.erase(s, WHO)
        with pytest.raises(GenovaultError) as caught:
            gate.view(s, project="rarity", dataset="rare")
        assert caught.value.code == "erasure_pending"
        assert "job_unfinished" in {finding.code for finding in doctor.examine(s).findings}
        monkeypatch.undo()
        assert process.resume(s) == 1
        assert gate.view(s, project="rarity", dataset="rare").sites.pos.tolist() == [100, 300]


def test_an_erasure_stops_a_view_that_is_being_made(vault, monkeypatch):
    commit = gate.accesses.commit

    def slow(*arguments, **keywords):
        with vaults.opened(vault) as other:
            process.erase(other, WHO)
        return commit(*arguments, **keywords)

    with vaults.opened(vault) as s:
        monkeypatch.setattr(gate.accesses, "commit", slow)
        with pytest.raises(GenovaultError) as caught:
            gate.view(s, project="demo", dataset="cohort")
        assert caught.value.code == "calls_changed"
        monkeypatch.undo()
        assert gate.view(s, project="demo", dataset="cohort").genotypes.shape[1] == len(vaults.PERMITTED) - 1


def erase_it(folder: str) -> None:
    with vaults.opened(Path(folder)) as s:
        process.erase(s, WHO)


def settled(folder: Path) -> None:
    """Open as the next command does; then all or nothing has happened."""
    with vaults.opened(folder) as s:
        held = [line.state for line in people.listed(s)].count("erased")
        assert job.unfinished(s) == []
        assert held in (0, 1)
        if held:
            assert b"GATTACA" not in everything_opened(s)
            assert len(process.issued(s)) == 1
            assert gate.view(s, project="rarity", dataset="rare").sites.pos.tolist() == [100, 300]
        else:
            assert resolve(s, WHO)
        report = doctor.examine(s)
        assert report.ok, report.findings
        assert vaults.verified(s).ok


@pytest.mark.parametrize("step", [8, 21, 33, 48])
def test_killed_somewhere_it_is_finished_at_the_next_open(vault, step):
    killed_at(step, erase_it, str(vault))
    settled(vault)


@pytest.mark.long
def test_killed_at_any_step_it_is_finished_at_the_next_open(vault, tmp_path):
    assert steps_survived(vault, tmp_path, erase_it, settled, every=3) >= 40


def readable(folder: Path, who: str) -> bool:
    """Whether the person's genotypes and name can be opened in a vault."""
    with vaults.opened(folder) as s:
        try:
            subject = resolve(s, who)
            s.keys.open(KeyPurpose.GENOTYPE, subject)
            return bool(registry.subject_show(s, who)[1].name)
        except GenovaultError:
            return False


def frankenstein(data: Path, keys: Path, folder: Path) -> Path:
    """Old files put together by hand, as somebody would who wants to get round ``restore``."""
    shutil.copytree(data, folder)
    for name in ("keystore.a", "keystore.b", "keys.db", "keys.db-wal", "keys.db-shm"):
        (folder / name).unlink(missing_ok=True)
        if (keys / name).exists():
            shutil.copy(keys / name, folder / name)
    return folder


def test_the_drill_three_ways(vault, tmp_path):
    before = tmp_path / "before"
    shutil.copytree(vault, before)
    with vaults.opened(vault) as s:
        subject = resolve(s, WHO)
        made = backup.backup_keys(s, tmp_path / "kb", expires=s.clock() + timedelta(days=30))
        certificate = process.erase(s, WHO)
        key_rotation.rotate(s)
        for branch in key_rotation.BY_DEFAULT:
            key_rotation.destroy_epoch(s, branch, 1)
    # 1: old data with the current keys opens nothing of the person, not even whether an MRN was there
    s = open_vault(frankenstein(before, vault, tmp_path / "one"), factor=vaults.FACTOR, principal="ann")
    assert s.subject_keys.keyless([subject]) == [subject]
    assert s.keys.open_many(KeyPurpose.GENOTYPE, [subject]) == {}
    with pytest.raises(IntegrityError):
        resolve(s, "MRN0003")
    s.abandon()
    # 2: old data with the old keys, within their horizon, opens it, and the certificate says so
    assert readable(frankenstein(before, before, tmp_path / "two"), WHO)
    assert certificate.content["horizon"] == made.as_dict()["expires"]
    # 3: without the key backups only the current keys are left; an old key database is unreadable with the current keystore
    mixed = frankenstein(before, before, tmp_path / "three")
    for name in ("keystore.a", "keystore.b"):
        shutil.copy(vault / name, mixed / name)
    with pytest.raises(IntegrityError) as caught:
        readable(mixed, WHO)
    assert caught.value.code == "books_behind"  # the keystore remembers how far they had come
    s = open_vault(mixed, factor=vaults.FACTOR, principal="ann")
    with pytest.raises(GenovaultError):  # and past that, nothing opens
        s.keys.open(KeyPurpose.GENOTYPE, subject)
    s.abandon()


def test_restore_does_not_bring_them_back(vault, tmp_path):
    with vaults.opened(vault) as s:
        backup.backup(s, tmp_path / "old")
        process.erase(s, WHO)
    for path in [*vault.glob("books.db*")]:
        path.unlink()
    shutil.rmtree(vault / "objects")
    report = restore.restore(tmp_path / "old", vault, factor=vaults.FACTOR, principal="ann")
    assert (report.newest_keys, report.anchored, report.erased_again) == (True, False, 1)
    assert report.unreadable > 0  # the tables that listed their private sites
    assert not readable(vault, WHO)
    assert readable(vault, "S04")
    with vaults.opened(vault) as s:
        with s.books.read() as tx:
            assert list(tx.scalars(select(SubjectRow.state))).count("erased") == 1
        last = json.loads(next(e for e in s.trail.log.entries(0) if b"backup.restore" in (e.leaf or b"")).leaf)
        assert last["flags"] == ["newest_keys"]
        assert s.keyring.has(Branch.IDENTITY)
