"""Books edited with direct access to the file: the gate refuses before it decides, or the verifier names the entry.

What is not noticed without an anchor stands here too, as tests, so that nobody believes more than is true.
"""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support import vaults
from tests.support.vaults import PERMITTED, ask, opened, sql, verified
from vault import gate
from vault.access import projects, requests
from vault.audit.merkle import CompactRange, leaf_hash
from vault.consent import ledger_columns, recording
from vault.errors import IntegrityError, RefusedError
from vault.operations import log_anchors
from vault.operations.erasure import process
from vault.session.unlocked_vault import open_vault
from vault.subjects import registry

EVERY = 60  # default suite: each sixtieth byte of a batch


def never(*_args, **_kwargs):
    raise AssertionError("a block was opened on books that do not hold")


@pytest.fixture
def closed(monkeypatch):
    """No block may be opened."""
    monkeypatch.setattr("vault.genotypes.catalog.dataset_reader.GenotypeReader.choose", never)


CONSENT = {
    "the withdrawal deleted": ("DELETE FROM consent_batch WHERE last_seq = 13",),
    "the answers deleted": ("DELETE FROM consent_batch WHERE last_seq = 12",),
    "all deleted": ("DELETE FROM consent_batch",),
    "two batches exchanged": (
        "UPDATE consent_batch SET last_seq = last_seq + 100",
        "UPDATE consent_batch SET last_seq = CASE last_seq WHEN 112 THEN 13 ELSE 1 END",
    ),
    "a batch twice": (
        "INSERT INTO consent_batch SELECT last_seq + 12, events, times, head, format FROM consent_batch WHERE last_seq = 12",
    ),
    "an older format": ("UPDATE consent_batch SET format = 1 WHERE last_seq = 12",),
    "a format that is none": ("UPDATE consent_batch SET format = 'x' WHERE last_seq = 12",),
    "an event cut off": ("UPDATE consent_batch SET events = substr(events, 1, length(events) / 12 * 11) WHERE last_seq = 12",),
    "an event of no length": ("UPDATE consent_batch SET events = substr(events, 1, length(events) - 1) WHERE last_seq = 12",),
    "the times cut off": ("UPDATE consent_batch SET times = x''", "UPDATE consent_batch SET times = x'00'"),
    "another head": ("UPDATE consent_batch SET head = zeroblob(32) WHERE last_seq = 13",),
    "what was said exchanged": (
        "UPDATE consent_said SET sha256 = randomblob(32)",
        "UPDATE consent_said SET body = (SELECT s.body FROM consent_said s WHERE s.said_id <> consent_said.said_id LIMIT 1)",
    ),
    "the no turned into a yes": ("UPDATE consent_said SET body = replace(body, 'declined', 'accepted')",),
    "the words gone": ("DELETE FROM consent_said",),
}


@pytest.mark.parametrize("attack", CONSENT)
def test_the_consent_ledger_cannot_be_edited(small, closed, attack, tmp_path):
    with opened(small) as s:
        request = ask(s)
    sql(small / "books.db", *CONSENT[attack])
    with opened(small) as s:
        for use in (
            lambda: gate.view(s, project="demo", dataset="cohort"),
            lambda: gate.extract(s, request, tmp_path / "out"),
            lambda: gate.check(s, "demo"),
        ):
            with pytest.raises(IntegrityError) as caught:
                use()
            assert caught.value.code.startswith(("consent_", "collection_", "row_"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("offset", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, EVERY, 6))])
def test_no_byte_of_a_consent_batch_can_be_changed(small, closed, offset):
    events = bytes(sql(small / "books.db", "SELECT events FROM consent_batch WHERE last_seq = 12")[0][0])
    for at in range(offset, len(events), EVERY):
        changed = bytearray(events)
        changed[at] ^= 1 << at % 8
        sql(small / "books.db", ("UPDATE consent_batch SET events = ? WHERE last_seq = 12", (bytes(changed),)))
        with opened(small) as s, pytest.raises(IntegrityError) as caught:
            gate.check(s, "demo")
        assert caught.value.code.startswith(("consent_", "collection_"))


def test_a_chain_that_was_made_anew_does_not_end_where_the_log_says(small, closed):
    """The chain has no secret, so a deleted withdrawal can leave it consistent; the log holds the later head."""
    sql(small / "books.db", "DELETE FROM consent_batch WHERE last_seq = 13")
    with opened(small) as s, pytest.raises(IntegrityError) as caught:
        gate.view(s, project="demo", dataset="cohort")
    assert caught.value.code == "collection_altered"


def test_a_forged_acceptance_does_not_end_where_the_log_says(small, closed):
    rows = sql(small / "books.db", "SELECT last_seq, events, times, head FROM consent_batch ORDER BY last_seq")
    first, events, times, _ = rows[0]
    head = sql(small / "books.db", "SELECT head FROM consent_batch WHERE last_seq = 13")[0][0]
    size = len(events) // first
    forged = bytes(events[:size])
    new = ledger_columns.batch_head(bytes(head), 14, forged, bytes(times[:0]))
    sql(small / "books.db", ("INSERT INTO consent_batch VALUES (14, ?, ?, ?, 2)", (forged, b"", new)))
    with opened(small) as s, pytest.raises(IntegrityError) as caught:
        gate.view(s, project="demo", dataset="cohort")
    assert caught.value.code.startswith(("consent_", "collection_"))


def test_a_log_that_was_edited_to_fit_is_caught_by_the_verifier(small):
    """Ledger and log edited together, below what was signed: a decision rests on both, so the verifier must name the entry."""
    sql(small / "books.db", "DELETE FROM consent_batch WHERE last_seq = 13")
    head = sql(small / "books.db", "SELECT head FROM consent_batch WHERE last_seq = 12")[0][0]
    for index, leaf in sql(small / "books.db", "SELECT idx, leaf FROM audit_leaf"):
        fields = json.loads(bytes(leaf))
        if fields.get("consent", {}).get("seq") == 13:
            fields["consent"] |= {"seq": 12, "head": bytes(head).hex()}
            forged = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
            sql(
                small / "books.db",
                ("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = ?", (forged, leaf_hash(forged), index)),
            )
    s = open_vault(small, factor=vaults.FACTOR)
    report = verified(s)
    assert not report.ok
    assert report.first_bad is not None
    with pytest.raises(IntegrityError) as caught:
        s.trail.checkpoint()  # nor is anything signed on top of it
    assert caught.value.code == "log_forked"
    s.abandon()


LOG = {
    "an entry edited": "UPDATE audit_leaf SET leaf = CAST(replace(CAST(leaf AS TEXT), '\"ann\"', '\"eve\"') AS BLOB) WHERE idx = 3",
    "an entry deleted": "DELETE FROM audit_leaf WHERE idx = 3",
    "the newest entry deleted": "DELETE FROM audit_leaf WHERE idx = (SELECT max(idx) FROM audit_leaf)",
    "the first entry deleted": "DELETE FROM audit_leaf WHERE idx = 0",
    "an entry inserted": "INSERT INTO audit_leaf SELECT max(idx) + 1, randomblob(16), leaf_hash, leaf FROM audit_leaf",
    "an entry emptied": "UPDATE audit_leaf SET leaf = x'7b7d' WHERE idx = 3",
    "a hash edited": "UPDATE audit_leaf SET leaf_hash = zeroblob(32) WHERE idx = 3",
    "the head set back": "UPDATE audit_head SET size = size - 1",
    "another event id": "UPDATE audit_leaf SET event_id = randomblob(16) WHERE idx = 3",
    "a note edited": "UPDATE audit_checkpoint SET note = replace(note, 'genovault', 'genovauIt')",
    "a root edited": "UPDATE audit_checkpoint SET root = zeroblob(32)",
}
UNSEEN = {
    "another event id": "the stored id is an index; what the leaf says is what is signed",
    "a root edited": "the note is what is signed; the column repeats it",
}


@pytest.mark.parametrize("attack", LOG)
def test_the_log_cannot_be_edited(small, attack):
    sql(small / "books.db", LOG[attack])
    s = open_vault(small, factor=vaults.FACTOR)
    try:
        assert verified(s).ok == (attack in UNSEEN)
    finally:
        s.abandon()


def test_entries_cannot_change_places(small):
    sql(
        small / "books.db",
        "UPDATE audit_leaf SET idx = idx + 1000 WHERE idx IN (3, 4)",
        "UPDATE audit_leaf SET idx = 1007 - idx WHERE idx > 1000",
    )
    s = open_vault(small, factor=vaults.FACTOR)
    assert not verified(s).ok
    s.abandon()


def rebuild_unsigned(folder, keep):
    """Cut the log to its first ``keep`` entries, head and notes with it, as an insider with the format at hand would."""
    hashes = [bytes(row[0]) for row in sql(folder / "books.db", "SELECT leaf_hash FROM audit_leaf ORDER BY idx")][:keep]
    head = CompactRange().extend(hashes)
    sql(
        folder / "books.db",
        ("DELETE FROM audit_leaf WHERE idx >= ?", (keep,)),
        ("DELETE FROM audit_checkpoint WHERE size > ?", (keep,)),
        ("UPDATE audit_head SET size = ?, stack = ?", (keep, head.to_bytes())),
    )


def test_what_an_outsider_kept_shows_that_the_log_was_cut(small):
    """Cut back to an earlier note, the log is whole in itself: only a later note kept elsewhere shows the loss."""
    with opened(small) as s:
        anchor = s.trail.checkpoint()
        sizes = [size for (size,) in sql(small / "books.db", "SELECT size FROM audit_checkpoint ORDER BY size")]
    rebuild_unsigned(small, sizes[-2])
    s = open_vault(small, factor=vaults.FACTOR)
    try:
        assert vaults.verify(vaults.LogSource(s.trail.log, None), s.trail.log_keys()[0].to_text()).ok
        assert not vaults.verify(vaults.LogSource(s.trail.log, None, anchors=[anchor]), s.trail.log_keys()[0].to_text()).ok
    finally:
        s.abandon()


def roll_back(folder, tmp_path, *names):
    """Keep a copy, let a withdrawal happen, bring the copy of the named files back."""
    for name in names:
        shutil.copy(folder / name, tmp_path / name)
    with opened(folder) as s:
        recording.withdraw(s, "S03")
        assert gate.check(s, "demo").permit == len(PERMITTED) - 1
    for name in names:
        shutil.copy(tmp_path / name, folder / name)


def test_books_and_keys_rolled_back_whole_undo_a_withdrawal_unseen_without_an_anchor(small, tmp_path):
    """The limit of a vault on its own (SECURITY.md, 7): an older copy of all its stores is whole in itself."""
    roll_back(small, tmp_path, "books.db", "keys.db")
    with opened(small) as s:
        assert verified(s).ok
        assert gate.check(s, "demo").permit == len(PERMITTED)


def test_books_alone_rolled_back_are_refused(small, tmp_path):
    roll_back(small, tmp_path, "books.db")
    with pytest.raises(IntegrityError) as caught, opened(small):
        pass
    assert caught.value.code == "books_behind"


def test_with_an_anchor_books_rolled_back_are_refused(small, tmp_path):
    (tmp_path / "anchor").mkdir()
    with opened(small) as s:
        log_anchors.add(s, tmp_path / "anchor")
    roll_back(small, tmp_path, "books.db")
    with pytest.raises(IntegrityError), opened(small) as s:
        gate.check(s, "demo")


def test_keys_rolled_back_lack_what_the_books_name(small, tmp_path):
    shutil.copy(small / "keys.db", tmp_path / "keys.db")
    with opened(small) as s:
        vaults.bring(s, vaults.tiny(), "later")
        vaults.approve(s, "second", "later")
    shutil.copy(tmp_path / "keys.db", small / "keys.db")
    with opened(small) as s, pytest.raises(IntegrityError) as caught:
        gate.view(s, project="second", dataset="later")
    assert caught.value.code == "key_missing"


PROJECT = {
    "approved by hand": ("UPDATE project SET state = 'approved'",),
    "with another version": ("UPDATE project SET state = 'approved', version = 2",),
    "renamed": ("UPDATE project SET code = 'other', state = 'approved' WHERE code = 'demo'",),
    "another declaration": (
        "UPDATE project SET state = 'approved'",
        (
            "UPDATE project SET sealed = (SELECT p.sealed FROM project p WHERE p.code = 'wide'), declaration_sha256 = "
            "(SELECT p.declaration_sha256 FROM project p WHERE p.code = 'wide') WHERE code = 'demo'"
        ),
    ),
    "approved by another": ("UPDATE project SET state = 'approved', approved_by = 'bob', self_approved = 0",),
    "approved later": ("UPDATE project SET state = 'approved', approved = approved + 1000000",),
    "another digest": ("UPDATE project SET declaration_sha256 = zeroblob(32)",),
}


@pytest.mark.parametrize("attack", PROJECT)
def test_nobody_approves_a_project_by_editing_its_row(small, closed, attack):
    with opened(small) as s:
        vaults.approve(s, "wide", "cohort")
        projects.change(s, "demo", "suspend")
    sql(small / "books.db", *PROJECT[attack])
    code = "other" if attack == "renamed" else "demo"
    with opened(small) as s, pytest.raises(IntegrityError) as caught:
        gate.view(s, project=code, dataset="cohort")
    assert caught.value.code == "collection_altered"


REQUEST = {
    "opened again": ("UPDATE request SET state = 'open'",),
    "of another project": (
        "UPDATE request SET state = 'open', project_id = (SELECT project_id FROM project WHERE code = 'wide')",
    ),
    "another kind": ("UPDATE request SET kind = 'records', state = 'open'",),
    "another's loci": (
        "UPDATE request SET sealed = (SELECT r.sealed FROM request r WHERE r.request_id <> request.request_id LIMIT 1), state = 'open'",
    ),
}


@pytest.mark.parametrize("attack", REQUEST)
def test_nobody_opens_a_request_by_editing_its_row(small, closed, attack, tmp_path):
    with opened(small) as s:
        vaults.approve(s, "wide", "cohort")
        request = ask(s)
        requests.deny(s, request, "no")
        with pytest.raises(RefusedError):
            gate.extract(s, request, tmp_path / "out")
    sql(small / "books.db", *REQUEST[attack])
    with opened(small) as s, pytest.raises(IntegrityError) as caught:
        gate.extract(s, request, tmp_path / "out")
    assert caught.value.code == "collection_altered"


def test_an_older_row_of_a_project_does_not_bring_its_old_state_back(small):
    """A row replayed whole opens, but the collection's signed head is another."""
    old = sql(small / "books.db", "SELECT sealed, state, version, approved, approved_by, self_approved FROM project")[0]
    with opened(small) as s:
        projects.change(s, "demo", "suspend")
    update = "UPDATE project SET sealed = ?, state = ?, version = ?, approved = ?, approved_by = ?, self_approved = ?"
    sql(small / "books.db", (update, tuple(old)))
    with opened(small) as s, pytest.raises(IntegrityError) as caught:
        projects.load(s, "demo")
    assert caught.value.code == "collection_altered"


def test_sealed_columns_do_not_open_elsewhere(small):
    """Loci of two panels, identities of two people, records of two releases."""
    with opened(small) as s:
        vaults.panel(s, "second", loci=b"22\t999\t1040\n")
        gate.view(s, project="demo", dataset="cohort")
        gate.view(s, project="demo", dataset="cohort")
    for table, key in (("panel", "panel_id"), ("identity", "subject_id"), ("release", "release_id")):
        rotated = (
            f"CREATE TEMP TABLE t AS SELECT {key} AS k, sealed FROM {table} ORDER BY {key}",
            f"UPDATE {table} SET sealed = (SELECT sealed FROM t WHERE t.k <> {table}.{key} LIMIT 1)",
        )
        sql(small / "books.db", *rotated)
    with opened(small) as s:
        for use in (
            lambda: vaults.panels.list_all(s),
            lambda: registry.subject_show(s, "S03"),
            lambda: gate.accesses.releases.list_all(s),
        ):
            with pytest.raises(IntegrityError):
                use()


def test_a_reference_pointed_at_somebody_else_leads_to_nobody(small):
    """The blind index is held against the sealed identity of whom it gives."""
    sql(
        small / "books.db",
        "CREATE TEMP TABLE t AS SELECT DISTINCT subject_id FROM reference",
        "UPDATE reference SET subject_id = (SELECT b.subject_id FROM t a JOIN t b "
        "ON b.rowid = a.rowid % (SELECT count(*) FROM t) + 1 WHERE a.subject_id = reference.subject_id)",
    )
    with opened(small) as s:
        for sample in vaults.SAMPLES[:3]:
            for use in (registry.subject_show, recording.withdraw, process.erase):
                with pytest.raises(IntegrityError) as caught:
                    use(s, sample)
                assert caught.value.code == "reference_altered"
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == len(PERMITTED)


@pytest.mark.parametrize("stated", ["1", "[]", "{}", '{"head":"zz","seq":1}', '{"head":1,"seq":1}'])
def test_an_entry_that_states_the_ledger_in_no_form_of_ours_is_told_in_one_line(small, stated):
    leaf = f'{{"act":"consent.record","consent":{stated},"v":1}}'
    newest = "SELECT max(idx) FROM audit_leaf WHERE instr(leaf, '\"consent\":{') > 0"
    sql(small / "books.db", (f"UPDATE audit_leaf SET leaf = ? WHERE idx = ({newest})", (leaf.encode(),)))
    s = open_vault(small, factor=vaults.FACTOR, principal="ann")
    with pytest.raises(IntegrityError) as caught:
        gate.view(s, project="demo", dataset="cohort")
    assert caught.value.code == "entry_malformed"
    s.abandon()
