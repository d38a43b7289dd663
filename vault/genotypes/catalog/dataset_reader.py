"""Reading a dataset's sealed objects for people whom the gate has permitted.

Reading needs block keys, and block keys come from the gate: nothing here decides (docs/design/genotypes.md §6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from policies.loci import Interval
from vault.crypto.key_wrapping import block_keys
from vault.errors import IntegrityError
from vault.genotypes.catalog import dataset_rules, declared_assays, panel_blocks, parts, personal_parts
from vault.genotypes.catalog.compacted_access import CompactedPerson, compacted_people
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.parts import MemberPlaces, OpenPart
from vault.genotypes.catalog.personal_access import PersonalAccess
from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.call_codes import Codes, Escapes, join_escapes
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.sites import Sites
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.panel_rows import rows_as_calls, rows_as_choice
from vault.genotypes.store.part_merge import Calls, PartCalls, merge_parts
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.reference_fill import NO_SPANS, ReferenceFill, Spans, TrackedPerson, variant_spans
from vault.genotypes.store.selections import Chosen, PanelLoci, Selection, choose_rows
from vault.genotypes.store.windows import Choice, PartChoice
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault

TRIES = 5  # to see the parts of a dataset as they are at one time


def read(
    vault: UnlockedVault, dataset: Dataset, selection: Selection, subjects: Sequence[SubjectId], keys: Mapping[bytes, bytes]
) -> Calls:
    """The calls of the chosen sites: ``codes`` uint8[sites, subjects], subjects in order; ABSENT where a subject's part lacks a site.

    ``keys``: genotype keys by subject; a subject without one cannot be read.

    Raises:
        IntegrityError: a missing, altered, swapped or truncated object; ``key_missing``.
        UnavailableError: ``erasure_pending``; ``dataset_changed``: a part was removed or compacted meanwhile.
    """
    return GenotypeReader(vault, dataset, subjects, keys).read(selection)


class GenotypeReader:
    """Reads a dataset for some subjects, who are settled when it is made: it opens their blocks and no one else's, and of these only
    those of chunks that are asked for. It is of one decision: make a new one after each.

    ``keep_bytes``: how much of what was decoded may stay in memory; a chunk stays when it is asked for a second time.
    Arguments and errors otherwise as ``read``.
    """

    def __init__(
        self,
        vault: UnlockedVault,
        dataset: Dataset,
        subjects: Sequence[SubjectId],
        keys: Mapping[bytes, bytes],
        *,
        keep_bytes: int = 0,
    ) -> None:
        if any(subject not in keys for subject in subjects):
            raise IntegrityError(
                "key_missing", "a subject's genotype key is not in the key database", hint="run genovault doctor"
            )
        self._vault, self._dataset, self._size = vault, dataset, len(subjects)
        self._contigs = cache(partial(parts.contigs, vault, dataset.dataset_id))
        for _ in range(TRIES):
            before = parts.all_part_ids(vault, dataset.dataset_id)
            self._parts, tracked = _accesses(vault, dataset, subjects, keys, keep_bytes)
            if parts.all_part_ids(vault, dataset.dataset_id) == before:
                break  # else somebody's part was compacted meanwhile, and may have been seen twice or not at all
        else:
            raise parts.changed()
        self._reference = _reference(tracked, self._parts, dataset_rules.current(vault, dataset.dataset_id))

    def read(self, selection: Selection) -> Calls:
        """The chosen sites' calls. Where decoded chunks are kept the arrays may be shared: do not write to them."""
        selection = self._asked(selection)
        found = [part.read(selection) for part in self._touched(selection)]
        rows = self._panel_rows(selection)
        calls = Calls(*merge_parts(found if rows is None else [*found, rows_as_calls(rows)], self._size))
        return calls if self._reference is None else replace(calls, codes=self._reference.fill(calls.sites, calls.codes))

    def choose(self, selection: Selection) -> Choice:
        """The chosen sites, to be read or counted in windows. Nothing that was kept decoded is used, and no block is opened yet."""
        selection = self._asked(selection)
        found = [part.choose(selection) for part in self._touched(selection)]
        rows = self._panel_rows(selection)
        return Choice(found if rows is None else [*found, rows_as_choice(rows)], self._size, self._reference)

    def count(self, selection: Selection) -> tuple[Sites, AlleleCounts]:
        """The chosen sites, and how often the subjects carry each of their alleles: what counting the calls of ``read`` gives.

        Raises:
            IntegrityError: as ``read``, and ``call_outside_site`` if a call names an allele that its site does not list.
        """
        return self.choose(selection).whole.count()

    def _asked(self, selection: Selection) -> Selection:
        """The selection, a panel's with what the dataset's stewards declared as assayed; looked up where something was blanked."""
        if selection.panel is None:
            return selection
        return replace(selection, panel=replace(selection.panel, declared=self._declared))

    def _declared(self, sites: Sites) -> NDArray[np.bool_]:
        return declared_assays.of_dataset(self._vault, self._dataset.dataset_id).covers(sites)

    def _touched(self, selection: Selection) -> list[_PartAccess | PersonalAccess]:
        """The parts that may have a chosen site of somebody who is read: by their directories first, and only then by their members.

        What the parts of others have says nothing of these people.
        """
        return [part for part in self._parts if part.touches(selection) and (part.holds_anyone or not self._size)]

    def _panel_rows(self, selection: Selection) -> Sites | None:
        """Exact loci of a panel on the dataset's contigs, where somebody's track may answer them."""
        panel = selection.panel
        return None if panel is None or self._reference is None else panel.index.exact_sites(self._contigs())

    def derive(self, panel: PanelLoci | None = None) -> None:
        """Derive the block keys now, and look up where the blocks of a panel lie, so that the first read need not."""
        for part in self._parts if panel is None else self._touched(Selection(panel=panel)):
            part.derive(panel)
        self._panel_rows(Selection(panel=panel))

    def close(self) -> None:
        """Let go of everything that was decoded."""
        for part in self._parts:
            part.forget()
        if self._reference is not None:
            self._reference.forget()


def _accesses(
    vault: UnlockedVault, dataset: Dataset, subjects: Sequence[SubjectId], keys: Mapping[bytes, bytes], keep_bytes: int
) -> tuple[list[_PartAccess | PersonalAccess], list[PersonalAccess | CompactedPerson]]:
    """The dataset's parts that may hold any of the people, in order; and those of one person's import each, as such."""
    who = _People(subjects, keys, parts.MemberPlaces(vault, subjects))
    shared = [_PartAccess(vault, part, who, keep_bytes) for part in parts.open_parts(vault, dataset.dataset_id)]
    column = {subject: at for at, subject in enumerate(subjects)}
    with vault.books.read() as tx:
        rows = personal_parts.live(tx, dataset.dataset_id, subjects)
    own = [PersonalAccess(vault, row, column[SubjectId(row.subject_id)], keys[row.subject_id]) for row in rows]
    every: list[_PartAccess | PersonalAccess] = sorted([*shared, *own], key=attrgetter("ordinal"))
    return every, [person for part in every for person in ([part] if isinstance(part, PersonalAccess) else part.people)]


@dataclass(frozen=True)
class _People:
    """Those who are read. ``keys``: genotype keys by subject."""

    subjects: Sequence[SubjectId]
    keys: Mapping[bytes, bytes]
    places: MemberPlaces


class _PartAccess:
    """One part as a ``GenotypeReader`` reads it. ``people``: of a compacted part, each as if the import were still a part of their own."""

    def __init__(self, vault: UnlockedVault, part: OpenPart, who: _People, keep: int) -> None:
        self.ordinal = part.row.ordinal
        self._vault, self._part, self._who, self._keep = vault, part, who, keep
        self._builds: dict[bytes, PartReader | None] = {}
        self._accesses: dict[bytes, BlockAccess] = {}
        self._touched: dict[bytes, bool] = {}
        self._learned: set[int] = set()
        self._asked: set[int] = set()
        self._decoded: dict[int, tuple[Codes, Escapes]] = {}
        self._panels: dict[bytes, PartCalls] = {}
        self.compacted = part.row.compacted is not None
        self.people: list[CompactedPerson] = []
        if self.compacted and self.holds_anyone:  # looked up now: it may be compacted further, and nothing would be missed
            self.people = compacted_people(vault, part, self._columns, self._slots, self._keys)

    @property
    def holds_anyone(self) -> bool:
        return len(self._columns) > 0

    def touches(self, selection: Selection) -> bool:
        """True if a chunk, or the panel's build, may have a chosen site; no member is looked up for it."""
        panel = selection.panel
        if panel is None:
            return bool(selection.chunks(self._part.reader.directory))
        if panel.panel_id not in self._touched:
            built = self._build(panel.panel_id) is not None
            self._touched[panel.panel_id] = built or bool(selection.chunks(self._part.reader.directory))
        return self._touched[panel.panel_id]

    def derive(self, panel: PanelLoci | None) -> None:
        build = None if panel is None else self._build(panel.panel_id)
        _ = self._accessible(self._part.row.dataset_id if build is None else build.part.part_id)
        for person in self.people[:1]:  # whose part has the keys of all of them
            person.derive()

    def forget(self) -> None:
        self._decoded.clear()
        self._panels.clear()
        for person in self.people:
            person.forget()

    def variants(self, column: int, contig: str, first: int, last: int) -> Spans:
        """As ``reference_fill.Variants``: of the person of a column of the view, of whom there may be nothing here."""
        chosen = self._choose(Selection(regions=(Interval.from_positions(contig, first, last),)))
        here = np.flatnonzero(self._columns == column).tolist() if chosen else []
        if not here:
            return NO_SPANS
        (at,) = here
        access = BlockAccess.from_places([self._slots[at]], block_keys([self._keys[at]], self._part.row.dataset_id))
        return variant_spans(*self._part.reader.read([ordinal for ordinal, _ in chosen], [rows for _, rows in chosen], access))

    def read(self, selection: Selection) -> PartCalls:
        build = self._build(selection.panel.panel_id) if selection.panel else None
        if selection.panel and build:
            return self._read_panel(selection.panel, build)
        chosen = self._choose(selection)
        if self._keep and self._kept(chosen):
            return _spelled(self._recall(chosen), selection.panel)
        ordinals, rows = [at for at, _ in chosen], [rows for _, rows in chosen]
        return _spelled(self._calls(*self._part.reader.read(ordinals, rows, self._access)), selection.panel)

    def choose(self, selection: Selection) -> PartChoice:
        build = self._build(selection.panel.panel_id) if selection.panel else None
        if selection.panel and build:
            reader, access = build, self._accessible(build.part.part_id)
            chosen: Chosen = [(0, panel_blocks.told_rows(reader, selection.panel))]
        else:
            reader, access, chosen = self._part.reader, self._access, self._choose(selection)
        return PartChoice.from_reader(reader, chosen, access, self._columns, selection.panel, compacted=self.compacted)

    def _calls(self, sites: Sites, codes: Codes, escapes: Escapes) -> PartCalls:
        """Calls uint8[m, k] of the people who are read."""
        return PartCalls(sites, codes, escapes, self._columns, self.compacted)

    @cached_property
    def _columns(self) -> NDArray[np.int64]:
        """int64[k]: columns of the view of those of the people who are in the part."""
        held = self._who.places.of(self._part.row)
        return np.array([at for at, subject in enumerate(self._who.subjects) if subject in held], np.int64)

    @cached_property
    def _slots(self) -> list[tuple[int, int]]:
        held = self._who.places.of(self._part.row)
        return [held[self._who.subjects[at]] for at in self._columns.tolist()]

    @cached_property
    def _keys(self) -> list[bytes]:
        return [self._who.keys[self._who.subjects[at]] for at in self._columns.tolist()]

    @property
    def _access(self) -> BlockAccess:
        return self._accessible(self._part.row.dataset_id)

    def _accessible(self, owner: bytes) -> BlockAccess:
        """Access to the blocks of the part (``owner``: the dataset) or of a panel's build over it."""
        if owner not in self._accesses:
            self._accesses[owner] = BlockAccess.from_places(self._slots, block_keys(self._keys, owner))
        return self._accesses[owner]

    def _build(self, panel_id: bytes) -> PartReader | None:
        """The part's blocks of a panel, if there are any that may be read."""
        if panel_id not in self._builds:
            self._builds[panel_id] = panel_blocks.find(self._vault, self._part.part_id, panel_id)
        return self._builds[panel_id]

    def _read_panel(self, panel: PanelLoci, reader: PartReader) -> PartCalls:
        panel_id = panel.panel_id
        if panel_id in self._panels:
            return self._panels[panel_id]
        access, rows = self._accessible(reader.part.part_id), [panel_blocks.told_rows(reader, panel)]
        found = _spelled(self._calls(*reader.read([0], rows, access)), panel)
        if found.codes.size <= self._keep:
            self._panels[panel_id] = found
        return found

    def _choose(self, selection: Selection) -> Chosen:
        wanted = selection.chunks(self._part.reader.directory)
        new = [ordinal for ordinal in wanted if ordinal not in self._learned]
        if new:
            parts.learn(self._vault, self._part, new)
            self._learned.update(new)
        return choose_rows(self._part.reader, selection, wanted)

    def _kept(self, chosen: Chosen) -> bool:
        """True if the chunks are decoded in memory; those that are asked for again are decoded and kept where there is room."""
        ordinals = [ordinal for ordinal, _ in chosen]
        missing = [ordinal for ordinal in ordinals if ordinal not in self._decoded]
        if missing:
            again = self._asked.issuperset(missing)
            self._asked.update(missing)
            sizes = [self._part.reader.directory.n_sites[ordinal] for ordinal in {*missing, *self._decoded}]
            if not again or int(sum(sizes)) * len(self._columns) > self._keep:
                return False
            for ordinal in missing:
                self._decoded[ordinal] = self._part.reader.read([ordinal], None, self._access)[1:]
        return True

    def _recall(self, chosen: Chosen) -> PartCalls:
        sites, codes, escapes = [], [], []
        for ordinal, rows in chosen:
            whole, held = self._decoded[ordinal]
            table = self._part.reader.sites(ordinal)
            picked = np.arange(len(table)) if rows is None else rows
            run = int(picked[-1]) - int(picked[0]) + 1 == len(picked)
            sites.append(table.take(picked))
            codes.append(whole[int(picked[0]) : int(picked[-1]) + 1] if run else whole[picked])
            escapes.append(held.at_rows(picked, len(table)))
        edges = np.concatenate([[0], np.cumsum([len(s) for s in sites])]).astype(np.int64).tolist()
        joined = codes[0] if len(codes) == 1 else np.concatenate([np.zeros((0, len(self._columns)), np.uint8), *codes])
        return self._calls(sites[0] if len(sites) == 1 else Sites.concat(sites), joined, join_escapes(escapes, edges))


def _reference(
    own: Sequence[PersonalAccess | CompactedPerson], every: Sequence[_PartAccess | PersonalAccess], rule: AssayRule | None
) -> ReferenceFill | None:
    """Tracks of the people who have any, at the quality that the dataset asks for; None if nobody has."""
    by_person: dict[int, list[PersonalAccess | CompactedPerson]] = {}
    for part in own:
        by_person.setdefault(part.column, []).append(part)
    shared = [part for part in every if isinstance(part, _PartAccess) and not part.compacted]
    tracked = []
    for column, mine in by_person.items():
        tracks = [part.track for part in mine if part.has_track]
        # A track is cut where its own file has a variant: one part alone has nothing more to say.
        variants = [part.variants for part in mine] if len(mine) > 1 else []
        if tracks:
            tracked.append(TrackedPerson(column, tracks, [*variants, *(partial(part.variants, column) for part in shared)]))
    return ReferenceFill(tracked, rule.band) if tracked and rule is not None else None


def _spelled(calls: PartCalls, panel: PanelLoci | None) -> PartCalls:
    """The calls of sites that name what was blanked, as far as a panel tells."""
    return calls if panel is None else replace(calls, sites=panel.named(calls.sites))
