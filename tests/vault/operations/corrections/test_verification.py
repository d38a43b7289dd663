"""Verification: whatever is altered, cut, missing or swapped is found, where it lies, and nothing else."""

from __future__ import annotations

import pytest

from tests.support import vaults
from tests.support.vaults import opened, sql
from vault.audit.entry import decode_leaf
from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.catalog import datasets, panel_builder, panels, parts
from vault.operations.corrections import verification
from vault.storage.book_tables import ChunkRow, ContainerRow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = vaults.copy(tmp_path_factory.mktemp("verified"), whole=False)
    with opened(folder) as s:
        panel_builder.build(s, datasets.by_name(s, "cohort"), panels.by_name(s, "pgx"))
    return folder


def stored(s):
    """Names of the part's directory, table and container."""
    (row,) = parts.list_all(s, datasets.by_name(s, "cohort").dataset_id)
    with s.books.read() as tx:
        return {
            "directory": row.directory_object,
            "table": tx.query(ChunkRow).one().table_object,
            "container": tx.query(ContainerRow).one().object,
        }


def found(s):
    return [(d.chunk, d.group, d.code) for d in verification.verify(s, "cohort").damages]


def test_a_whole_dataset_is_whole(folder):
    with opened(folder) as s:
        size, steps = s.trail.log.size(), []
        report = verification.verify(s, "cohort", progress=lambda done, total: steps.append((done, total)))
        assert (report.parts, report.chunks, report.objects, report.blocks, report.damages) == (1, 1, 6, 24, ())
        assert steps == [(1, 1)]
        intent, done = (decode_leaf(entry.leaf) for entry in s.trail.log.entries(size))
        assert (intent["act"], intent["outcome"], intent["subj"]) == ("dataset.verify", "intent", done["subj"])
        assert (done["outcome"], done["refers"], done["subj"]["n"]) == ("done", intent["id"], 12)


DAMAGES = {
    "flipped": (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "object_altered"),
    "cut": (lambda data: data[:-1], "object_altered"),
    "gone": (None, "object_missing"),
}
PLACES = {"directory": (None, None), "table": (0, None), "container": (0, 0)}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_object_is_named_by_its_place(folder, place, how):
    change, code = DAMAGES[how]
    with opened(folder) as s:
        path = folder / "objects" / stored(s)[place]
        data = path.read_bytes()
        try:
            path.unlink() if change is None else path.write_bytes(change(data))
            report = verification.verify(s, "cohort")
        finally:
            path.write_bytes(data)
        (damage,) = [d for d in report.damages if d.code == code]
        assert (damage.chunk, damage.group) == PLACES[place]
        assert damage.remedy == verification.AGAIN
        assert not found(s)


def test_a_missing_key_is_told(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    with opened(folder) as s:
        (row,) = parts.list_all(s, datasets.by_name(s, "cohort").dataset_id)
        member = next(iter(parts.members(s, row)))
        sql(folder / "keys.db", ("DELETE FROM wrapped_key WHERE owner = ? AND purpose = ?", (member, KeyPurpose.GENOTYPE.value)))
        assert found(s) == [(None, None, "key_missing")]


def test_swapped_slots_do_not_decode(tmp_path):
    folder = vaults.copy(tmp_path, whole=False)
    sql(folder / "books.db", "UPDATE layout_member SET slot = CASE slot WHEN 0 THEN 1 WHEN 1 THEN 0 ELSE slot END")
    with opened(folder) as s:
        assert (0, 0, "block_broken") in found(s)
