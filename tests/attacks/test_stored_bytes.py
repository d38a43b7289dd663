"""A swapped, replayed, truncated or edited object is an error, never data (docs/architecture.md §3, rule 10)."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest

from policies.purposes import RequestKind
from tests.support import vaults
from tests.support.vaults import opened, read_all, sql, template
from vault import gate
from vault.access import requests
from vault.audit.entry import decode_leaf
from vault.errors import IntegrityError, UnavailableError
from vault.genotypes.catalog import datasets, parts
from vault.operations import doctor
from vault.operations.erasure import counts
from vault.storage.object_store import ObjectStore
from vault.subjects.references import resolve_many

EVERY = 12  # default suite: each twelfth byte; the long one takes all


def objects(folder):
    """Files of the object store, by the kind that their name ends with."""
    return sorted(path for path in (folder / "objects").rglob("*") if path.is_file())


def kinds(folder):
    found = {}
    for path in objects(folder):
        found.setdefault(path.suffix, []).append(path)
    return found


def refused(s, name="cohort"):
    """The code of the error; whatever the session kept of earlier reads is let go of."""
    parts.forget(s)
    with pytest.raises(IntegrityError) as caught:
        read_whole(s, name)
    return caught.value.code


def read_whole(s, name):
    """Read a dataset, and the carrier counts of its parts, which no view reads."""
    read_all(s, name)
    for row in parts.list_all(s, datasets.by_name(s, name).dataset_id):
        counts.held(s, row)


@pytest.mark.parametrize("offset", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, EVERY))])
def test_no_byte_of_an_object_can_be_changed(small, monkeypatch, offset):
    """Also without the digests that the books keep: what is changed here is what the store answers."""
    get_range, change = ObjectStore.get_range, {}

    def changed(self, name, start, length):
        data = bytearray(get_range(self, name, start, length))
        at = change.get(name, -1)
        if start <= at < start + length:
            data[at - start] ^= change["mask"]
        return bytes(data)

    monkeypatch.setattr(ObjectStore, "get_range", changed)
    with opened(small) as s:
        whole = read_all(s)
        for name, size in s.objects.list():
            for at in range(offset, size, EVERY):
                change.clear()
                change.update({name: at, "mask": 1 << at % 8})
                refused(s)
        change.clear()
        assert np.array_equal(read_all(s).codes, whole.codes)


def test_no_object_can_be_cut(small):
    with opened(small) as s:
        for path in objects(small):
            data = path.read_bytes()
            for keep in {0, 1, len(data) // 2, len(data) - 1}:
                path.write_bytes(data[:keep])
                assert refused(s) in {"object_truncated", "seal_broken", "block_broken", "commitment_mismatch"}
            path.write_bytes(data)
        read_all(s)


def test_no_object_can_be_missing(small):
    with opened(small) as s:
        for path in objects(small):
            data = path.read_bytes()
            path.unlink()
            assert refused(s) == "object_missing"
            path.write_bytes(data)


def test_what_is_appended_to_an_object_is_not_read(small):
    with opened(small) as s:
        before = read_all(s)
        for path in objects(small):
            path.write_bytes(path.read_bytes() + b"more")
        assert np.array_equal(read_all(s).codes, before.codes)


def test_objects_cannot_stand_in_for_each_other(large):
    """All pairs of one kind: between chunks, parts and datasets."""
    with opened(large) as s:
        for paths in kinds(large).values():
            for one, two in itertools.permutations(paths, 2):
                first, second = one.read_bytes(), two.read_bytes()
                one.write_bytes(second)
                two.write_bytes(first)
                parts.forget(s)
                with pytest.raises(IntegrityError):
                    _ = read_whole(s, "cohort"), read_whole(s, "other")
                one.write_bytes(first)
                two.write_bytes(second)
        read_all(s, "cohort")
        read_all(s, "other")


def test_objects_of_another_vault_do_not_open(small, tmp_path):
    """The same people and genotypes under other keys."""
    vaults.make(tmp_path / "w", whole=False)
    for mine, theirs in zip(objects(small), objects(tmp_path / "w"), strict=True):
        data = mine.read_bytes()
        mine.write_bytes(theirs.read_bytes().ljust(len(data), b"\0"))
        with opened(small) as s:
            refused(s)
        mine.write_bytes(data)


SWAPS = {
    "containers of two chunks": (
        "UPDATE container SET object = (SELECT c.object FROM container c WHERE c.part_id = container.part_id "
        "AND c.chunk = 1 - container.chunk) WHERE part_id IN (SELECT part_id FROM chunk WHERE ordinal = 1)"
    ),
    "container rows of two chunks": (
        "UPDATE container SET chunk = chunk + 10",
        (
            "UPDATE container SET chunk = CASE chunk WHEN 10 THEN CASE WHEN part_id IN (SELECT part_id FROM chunk WHERE ordinal = 1) "
            "THEN 1 ELSE 0 END ELSE 0 END"
        ),
    ),
    "site tables of two chunks": (
        "CREATE TEMP TABLE t AS SELECT * FROM chunk",
        (
            "UPDATE chunk SET (table_object, table_bytes, table_sha256, table_key_id, n_sites) = (SELECT table_object, table_bytes, "
            "table_sha256, table_key_id, n_sites FROM t WHERE t.part_id = chunk.part_id AND t.ordinal = 1 - chunk.ordinal) "
            "WHERE part_id IN (SELECT part_id FROM t WHERE ordinal = 1)"
        ),
    ),
    "another version of a site table": ("UPDATE chunk SET table_version = table_version + 1",),
    "another container id": ("UPDATE container SET container_id = zeroblob(16) WHERE rowid = 1",),
    "another nonce": ("UPDATE container SET nonce = x'0000000000000000'",),
    "another header length": ("UPDATE container SET header_bytes = header_bytes + 1",),
    "another length key": ("UPDATE part SET length_key_id = directory_key_id",),
    "another dataset's part": (
        "UPDATE part SET dataset_id = (SELECT d.dataset_id FROM dataset d WHERE d.dataset_id <> part.dataset_id)",
    ),
    "a group that is not": ("UPDATE layout_member SET group_no = 1",),
    "a slot that is not": ("UPDATE layout_member SET slot = slot + 4096",),
    "no containers": ("DELETE FROM container",),
    "one chunk less": ("DELETE FROM chunk WHERE ordinal = 1",),
    "more sites": ("UPDATE chunk SET n_sites = n_sites + 1",),
    "fewer sites": ("UPDATE chunk SET n_sites = n_sites - 1",),
    "more slots": ("UPDATE container SET n_slots = n_slots + 1",),
    "a name that leads away": ("UPDATE part SET directory_object = '../../books.db'",),
}


@pytest.mark.parametrize("swap", SWAPS)
def test_rows_that_name_objects_cannot_be_bent(large, swap):
    statements = SWAPS[swap]
    sql(large / "books.db", *([statements] if isinstance(statements, str) else statements))
    with opened(large) as s, pytest.raises(IntegrityError):
        _ = read_all(s, "cohort"), read_all(s, "other")


def slots(folder, *samples):
    """(part id, subject id, slot) of some people, found as the vault finds them."""
    with opened(folder) as s:
        found = resolve_many(s, samples)
        subjects = [next(iter(found[sample])) for sample in samples]
    rows = sql(folder / "books.db", "SELECT layout_id, subject_id, slot FROM layout_member")
    return [next(row for row in rows if row[1] == subject) for subject in subjects]


@pytest.mark.parametrize("victim", ["S03", "S11", "S12"])
def test_a_subject_cannot_be_pointed_at_anothers_blocks(small, victim):
    """S11 declined, S12 withdrew: their blocks must not come out under the name of S01, who accepts."""
    (part, mine, slot), (_, theirs, other) = slots(small, "S01", victim)
    move = "UPDATE layout_member SET slot = ? WHERE layout_id = ? AND subject_id = ?"
    sql(small / "books.db", (move, (other, part, mine)), (move, (slot, part, theirs)))
    with opened(small) as s, pytest.raises(IntegrityError) as caught:
        gate.view(s, project="demo", dataset="cohort")
    assert caught.value.code == "block_broken"


def test_two_blocks_cannot_change_places(small, monkeypatch):
    """The bytes of two subjects' blocks within a container, of equal length or not."""
    header, name = sql(small / "books.db", "SELECT header_bytes, object FROM container")[0]
    container = small / "objects" / name
    data = container.read_bytes()
    body = data[header:]
    with opened(small) as s:
        for size in range(17, 60, 3):
            for one, two in itertools.pairwise(range(0, len(body) - size + 1, size)):
                first, second = body[one : one + size], body[two : two + size]
                swapped = bytearray(body)
                swapped[one : one + size], swapped[two : two + size] = second, first
                container.write_bytes(data[:header] + bytes(swapped))
                refused(s)
        container.write_bytes(data)
        read_all(s)


def test_an_older_part_is_not_replayed(small, tmp_path):
    """Objects and rows of a dataset from before it was removed and imported again: their keys' owner is another part."""
    old = [path.read_bytes() for path in objects(small)]
    rows = sql(small / "books.db", "SELECT container_id, nonce FROM container")
    with opened(small) as s:
        vaults.bring(s, vaults.tiny(), "again")
    fresh = [path for path in objects(small) if path.read_bytes() not in old]
    assert len(fresh) == len(old)
    for new, before in zip(
        sorted(fresh, key=lambda p: p.suffix), sorted(objects(template(whole=False)), key=lambda p: p.suffix), strict=True
    ):
        shutil.copy(before, new)
    first = "(SELECT part_id FROM part WHERE ordinal = 0 AND dataset_id = (SELECT dataset_id FROM dataset WHERE name = 'again'))"
    sql(small / "books.db", (f"UPDATE container SET nonce = ? WHERE part_id = {first}", (rows[0][1],)))
    with opened(small) as s:
        refused(s, "again")
        read_all(s, "cohort")


def test_the_gate_says_that_stored_data_is_broken_and_logs_it(small, tmp_path):
    with opened(small) as s:  # by a panel: regions are looked for in the data before anything is decided
        request = requests.submit(s, "demo", "cohort", kind=RequestKind.RECORDS, spec=requests.Spec(panel="pgx")).request_id
    for path in objects(small):
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with opened(small) as s:
        with pytest.raises(IntegrityError):
            gate.view(s, project="demo", dataset="cohort")
        with pytest.raises(IntegrityError):
            gate.extract(s, request, tmp_path / "out")
        leaves = [decode_leaf(entry.leaf) for entry in s.trail.log.entries()]
        ended = [(leaf["act"], leaf["outcome"]) for leaf in leaves if leaf["act"].endswith("outcome")]
        assert ended == [("view.outcome", "failed"), ("extract.outcome", "failed")]
    assert not (tmp_path / "out").exists()


KEY_ROWS = {
    "another subject's wrap": (
        "CREATE TEMP TABLE t AS SELECT owner, wrapped, key_id FROM wrapped_key WHERE purpose = 'genotype' ORDER BY owner",
        "UPDATE wrapped_key SET wrapped = (SELECT wrapped FROM t WHERE t.owner <> wrapped_key.owner LIMIT 1) WHERE purpose = 'genotype'",
    ),
    "rows exchanged between subjects": (
        "CREATE TEMP TABLE t AS SELECT owner, wrapped, key_id FROM wrapped_key WHERE purpose = 'genotype' ORDER BY owner",
        "DELETE FROM wrapped_key WHERE purpose = 'genotype'",
        (
            "INSERT INTO wrapped_key (purpose, owner, version, key_id, epoch, wrapped) SELECT 'genotype', a.owner, 1, b.key_id, 1, b.wrapped "
            "FROM t a JOIN t b ON b.rowid = a.rowid % 12 + 1"
        ),
    ),
    "another purpose": (
        "DELETE FROM wrapped_key WHERE purpose = 'genotype'",
        "UPDATE wrapped_key SET purpose = 'genotype' WHERE purpose = 'identity'",
    ),
    "another epoch": ("UPDATE wrapped_key SET epoch = 2 WHERE purpose = 'genotype'",),
    "another key id": ("UPDATE wrapped_key SET key_id = randomblob(16) WHERE purpose = 'genotype'",),
    "cut": ("UPDATE wrapped_key SET wrapped = substr(wrapped, 1, 59) WHERE purpose = 'genotype'",),
    "empty": ("UPDATE wrapped_key SET wrapped = x'' WHERE purpose = 'genotype'",),
    "gone": ("DELETE FROM wrapped_key WHERE purpose = 'genotype'",),
    "pseudonym salts exchanged": (
        "CREATE TEMP TABLE t AS SELECT owner, wrapped FROM wrapped_key WHERE purpose = 'pseudonym-salt' ORDER BY owner",
        "UPDATE wrapped_key SET wrapped = (SELECT wrapped FROM t WHERE t.owner <> wrapped_key.owner LIMIT 1) WHERE purpose = 'pseudonym-salt'",
    ),
    "a project's key for all": ("UPDATE wrapped_key SET wrapped = zeroblob(60) WHERE purpose = 'project'",),
    "site table keys exchanged": (
        "UPDATE wrapped_key SET version = version + 10 WHERE purpose = 'site-table'",
        (
            "UPDATE wrapped_key SET wrapped = (SELECT w.wrapped FROM wrapped_key w WHERE w.purpose = 'site-table' "
            "AND w.version <> wrapped_key.version LIMIT 1) WHERE purpose = 'site-table'"
        ),
    ),
}


@pytest.mark.parametrize("attack", KEY_ROWS)
def test_wrapped_keys_cannot_be_moved(small, attack):
    sql(small / "keys.db", *KEY_ROWS[attack])
    with opened(small) as s, pytest.raises((IntegrityError, UnavailableError)) as caught:
        gate.view(s, project="demo", dataset="cohort")
    assert caught.value.code in {
        "seal_broken",
        "commitment_mismatch",
        "key_missing",
        "epoch_unknown",
        "epoch_missing",
        "epoch_gone",
    }


@pytest.mark.parametrize("part", ["keys.db", "books.db", "objects", "keystore", "vault.json"])
def test_parts_of_another_vault_do_not_fit(small, tmp_path, part):
    """The same steward and passphrase: only the vault differs."""
    vaults.make(tmp_path / "w", whole=False)
    for theirs in (tmp_path / "w").glob(f"{part}*"):
        mine = small / theirs.name
        if theirs.is_dir():
            shutil.rmtree(mine)
            shutil.copytree(theirs, mine)
        else:
            shutil.copy(theirs, mine)
    with pytest.raises(IntegrityError), opened(small) as s:
        gate.view(s, project="demo", dataset="cohort")


@pytest.mark.parametrize("purpose", ["project", "pseudonym-salt", "genotype", "audit-salt"])
def test_a_key_in_another_s_place_is_found_by_doctor(tmp_path, purpose):
    folder = vaults.copy(tmp_path, whole=False)
    with opened(folder) as s:
        vaults.approve(s, "second", "cohort")
    rows = sql(folder / "keys.db", ("SELECT key_id, wrapped FROM wrapped_key WHERE purpose = ? LIMIT 2", (purpose,)))
    (one, mine), (other, theirs) = rows
    for key_id, wrapped in ((one, theirs), (other, mine)):
        sql(folder / "keys.db", ("UPDATE wrapped_key SET wrapped = ? WHERE key_id = ?", (wrapped, key_id)))
    with opened(folder) as s:
        found = {finding.code: finding.message for finding in doctor.examine(s).findings}
    assert found["key_altered"] == f"2 {purpose} keys do not open where they stand"
