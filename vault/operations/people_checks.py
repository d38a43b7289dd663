"""Doctor's look at the records of people: identities, references, evidence, and who is in which part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from sqlalchemy import exists, func, select

from vault.consent import ledger
from vault.crypto.key_wrapping import PURPOSE_BRANCH
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.genotypes.catalog import part_members
from vault.ids import SubjectId
from vault.operations.corrections.merge_job import MERGE_JOB
from vault.operations.erasure.job import ERASED, ERASING
from vault.session.subject_keys import SUBJECT_PURPOSES
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import JOB_DONE, ChunkRow, ConsentPrivateRow, JobRow, PartRow, ReferenceRow, SubjectRow
from vault.subjects import people_digests
from vault.subjects.identities import Identity, named_by, open_identities
from vault.subjects.references import ReferenceIndex
from vault.subjects.registrations import MERGED


def identities(vault: UnlockedVault) -> Iterator[tuple[str, str]]:
    """Code and message of each fault: an identity that is missing or does not open, references that are not its own."""
    with vault.books.read() as tx:
        states = {SubjectId(s): state for s, state in tx.execute(select(SubjectRow.subject_id, SubjectRow.state))}
        found_in = select(ReferenceRow.digest, ReferenceRow.subject_id, ReferenceRow.key_version)
        stored = {(row.digest, SubjectId(row.subject_id), row.key_version) for row in tx.execute(found_in)}
        altered = people_digests.altered(tx)  # of erased people too, whose identities nobody opens
    if altered:
        yield "identity_altered", "identities were edited, put back, added or taken out"
    if unknown := set(states.values()) - {"active", ERASING, ERASED, MERGED}:
        yield "subject_altered", f"{len(unknown)} states of people are none"
    live = {subject for subject, state in states.items() if state == "active"}
    held = live - set(vault.subject_keys.keyless(list(live)))  # of the others, doctor says that their keys are gone
    try:
        found = open_identities(vault, held)
    except IntegrityError as error:
        if not altered:
            yield "identity_altered", f"an identity does not open: {error.message}"
        return
    if missing := held - found.keys():
        yield "identity_missing", f"{len(missing)} people have no identity in the books"
    index = ReferenceIndex(vault)
    own, lost = _references(index, found, stored)
    if lost:
        yield "reference_missing", f"{lost} references of people are not in the index: they are not found by them"
    if foreign := {row for row in stored - own if row[1] not in live - held}:
        yield "reference_altered", f"{len(foreign)} references in the index are not those of the people they lead to"
    merged = index.handles(subject for subject, state in states.items() if state == MERGED)
    if stray := {f"id:{handle}" for handle in merged}.difference(*(identity.also for identity in found.values())):
        yield "subject_altered", f"{len(stray)} people are registrations of somebody that nobody's identity names"


def _references(
    index: ReferenceIndex, people: Mapping[SubjectId, Identity], stored: set[tuple[bytes, SubjectId, int]]
) -> tuple[set[tuple[bytes, SubjectId, int]], int]:
    """Everything that the index may have of some people, under the keys that it has something of theirs under; and how many of their
    references are under none.
    """
    under: dict[int, dict[SubjectId, Identity]] = {version: {} for version in index.versions}
    for _, subject, version in stored:
        if subject in people and version in under:
            under[version][subject] = people[subject]
    own = {(digest, subject, version) for version, some in under.items() for digest, subject in index.of_people(some, version)}
    there = Counter(subject for _, subject, _ in own & stored)
    return own, sum(max(0, 1 + len(set(named_by(identity))) - there[subject]) for subject, identity in people.items())


def keys(vault: UnlockedVault) -> Iterator[tuple[str, str]]:
    """Code and message of each fault of the keys of people whose data is held: missing, or not what was stored."""
    with vault.books.read() as tx:
        rows = tx.execute(select(SubjectRow.subject_id, SubjectRow.state)).all()
        merging = tx.scalar(select(exists().where(JobRow.kind == MERGE_JOB, JobRow.state != JOB_DONE)))
    live = [SubjectId(row.subject_id) for row in rows if row.state == "active"]
    erased = {SubjectId(row.subject_id) for row in rows if row.state == ERASED}
    if left := erased & vault.subject_keys.list_all():
        yield "erased_keys_left", f"the key database holds keys or tokens of {len(left)} erased people: they were put back"
    merged = {SubjectId(row.subject_id) for row in rows if row.state == MERGED}
    if not merging and (left := merged.difference(vault.subject_keys.keyless(merged))):
        yield "erased_keys_left", f"the key database holds keys of {len(left)} registrations that were merged: they were put back"
    for purpose in SUBJECT_PURPOSES:
        if vault.keyring.has(PURPOSE_BRANCH[purpose]):
            try:
                lost = len(live) - len(vault.keys.open_many(purpose, live))
            except IntegrityError:
                yield "key_altered", f"a {purpose.value} key is not what was stored"
                continue
            if lost:
                yield "subject_keyless", f"{lost} people have no {purpose.value} key"
    try:
        vault.subject_keys.tokens(set(live).difference(vault.subject_keys.keyless(live)) | merged)
    except IntegrityError as error:  # missing, or another person's
        yield error.code, error.message
    if wrong := vault.subject_keys.misnumbered_tokens():
        yield "token_altered", f"{wrong} audit tokens are not of the version that they are stored as"


def evidence(vault: UnlockedVault) -> Iterator[tuple[str, str]]:
    """Code and message of each fault: a sealed part of a consent event that is gone or not the one recorded."""
    with vault.books.read() as tx:
        book = ledger.read(tx, vault)
        gone = {SubjectId(s) for s in tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state != "active"))}
        query = select(ConsentPrivateRow.seq, ConsentPrivateRow.subject_id, ConsentPrivateRow.sealed)
        held = {row.seq: (row.subject_id, sha256(row.sealed)) for row in tx.execute(query)}
    columns = book.columns
    wanted = columns.fixed["sealed"]
    erased = {number for number in map(int, columns.numbers(sorted(gone))) if number >= 0} if gone else set()
    left = sum(int(columns.subject[seq - 1]) in erased for seq in held if 0 < seq <= len(columns))
    if left:
        yield "evidence_left", f"the sealed parts of {left} consent events of erased people are in the books"
    faults = sum(
        held.get(seq) != (columns.subject_id(int(columns.subject[seq - 1])), wanted[seq - 1].tobytes())
        for seq in range(1, len(columns) + 1)
        if int(columns.subject[seq - 1]) not in erased
    )
    if faults or held.keys() - range(1, len(columns) + 1):
        yield "evidence_altered", f"the sealed parts of {max(faults, 1)} consent events are gone or not those that were recorded"


def chunks(vault: UnlockedVault) -> Iterator[tuple[str, str]]:
    """Code and message of each part that has more or fewer chunks than its record says."""
    count = select(func.count()).where(ChunkRow.part_id == PartRow.part_id).scalar_subquery()
    with vault.books.read() as tx:
        for part_id in tx.scalars(select(PartRow.part_id).where(PartRow.n_chunks != count)):
            yield "chunks_altered", f"part {part_id.hex()[:8]} has other chunks than were imported"


def members(vault: UnlockedVault) -> Iterator[tuple[str, str]]:
    """Code and message of each part whose members are not those of its record."""
    with vault.books.read() as tx:
        for layout_id, known in tx.execute(select(PartRow.layout_id, PartRow.members_sha256).distinct()).all():
            try:
                part_members.listed(tx, layout_id, known)
            except IntegrityError as error:
                yield error.code, error.message
