"""Blocks opened for a reader: step 5 of the gate, and the de-identification that follows. No other module opens one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from policies.disclosure.view_profiles import Linkage
from policies.loci import Interval, Mask
from policies.purposes import PseudonymScope
from vault.access import asked_regions, leftovers, release_names
from vault.access.disclosure import linkage_decisions
from vault.access.disclosure.carrier_table import Read
from vault.access.disclosure.linkage_decisions import LinkageDecision
from vault.access.excluded_places import renamed
from vault.access.release_limits import ReleaseLimits
from vault.access.release_names import StreamColumns
from vault.access.scope import AccessScope
from vault.consent.cohort_decisions import Decided, Members
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.gate.accesses import Access, Destination
from vault.gate.frozen_decisions import AskedScope, FrozenDecision
from vault.genotypes.catalog import dataset_reader, declared_assays
from vault.genotypes.store.selections import Selection
from vault.ids import Pseudonym, SubjectId
from vault.session.moments import Moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

if TYPE_CHECKING:
    from vault.access.disclosure.released_sites import ToldBits
    from vault.genotypes.codec.allele_counts import AlleleCounts
    from vault.genotypes.store.part_merge import Calls
    from vault.genotypes.store.settled_reads import SettledChoice
    from vault.genotypes.store.windows import Choice
    from vault.risk.asked_sites import AskedSites
    from vault.views.deidentify import CallSource, Deidentified
    from vault.views.hidden_places import HiddenPlaces
    from vault.views.settled_sites import SettledSites
    from vault.views.view import View


def open_view(
    vault: UnlockedVault,
    access: Access,
    *,
    at_once: bool = False,
    to: Destination | None = None,
    columns: StreamColumns | None = None,
) -> Deidentified:
    """Steps 5 and 6: open the permitted subjects' blocks in random row order and de-identify them. An extract that may go on has its row
    order from a key, and one that goes on the same order and names.

    Nothing else opens a block for a reader. ``columns``: people and names in their order, where it is settled. Further windows are opened as pages are asked for; ``at_once``: all now, as one page.

    Raises:
        IntegrityError: ``key_missing``; a block or table was altered. RefusedError: ``extract_changed``.
    """
    from vault.views.deidentify import row_order  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    scope, subjects, members = access.scope, access.decided.permitted, access.decided.members
    if columns is not None:
        reader = partial(opened, vault, scope, access.frozen, columns.people)
        return _deidentified(
            vault, scope, access.limits, columns.people, columns.names, members=members, at_once=at_once, reader=reader
        )
    left = None if to is None else to.left
    naming = release_names.begin if left is None else release_names.naming

    def named() -> list[Pseudonym]:
        return release_names.names(vault, naming(vault, scope.project, access.release_id), subjects)

    own = scope.project.declaration.pseudonyms is PseudonymScope.RELEASE
    names = named() if own else access.frozen.once(f"names in order, of version {access.content.names}", named)
    kept = to is not None and to.chosen.by_contig
    order_key = leftovers.column_order(vault, access.release_id, again=left is not None) if kept else vault.random(32)
    order = row_order(order_key, names).tolist()
    # Blocks are decoded straight into the order of the view.
    people = [subjects[at] for at in order]
    titles = [names[at] for at in order]
    return _deidentified(vault, scope, access.limits, people, titles, members=members, at_once=at_once)


def open_measured(
    vault: UnlockedVault, scope: AccessScope, limits: ReleaseLimits, decided: Decided
) -> tuple[Deidentified, AskedSites]:
    """The view that an extract would make of the permitted people, under numbers for names, and a count of what is read for it: to be measured inside.

    Raises:
        IntegrityError: as ``open_view``.
    """
    from vault.risk.asked_sites import AskedSites  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    counted: list[AskedSites] = []

    def watch(source: CallSource, hidden: HiddenPlaces) -> AskedSites:
        counted.append(AskedSites(source, hidden))
        return counted[-1]

    people = decided.permitted
    names = [Pseudonym(str(number)) for number in range(len(people))]
    view = _deidentified(vault, scope, limits, people, names, members=decided.members, watch=watch)
    return view, counted[0]


@dataclass(frozen=True, repr=False)
class OpenPanel:
    """A panel's view as it was settled on a cohort: the openers of its people's blocks in the order of the view, and no call.

    ``names``: the ``people``'s, in this order; ``bits``: of the whole view.
    """

    names: tuple[Pseudonym, ...]
    people: tuple[SubjectId, ...]
    source: SettledChoice
    sites: SettledSites
    bits: ToldBits

    def view(self, columns: Sequence[int] | None = None) -> View:
        """The view of some of the people, by their places in it, or of all (None): of these alone blocks are opened now.

        Raises:
            IntegrityError: as ``open_view``. UnavailableError: ``sites_rewritten``.
        """
        from vault.views.settled_sites import columns_of  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command
        from vault.views.view import View  # noqa: PLC0415 - as above

        wanted = np.arange(len(self.names)) if columns is None else np.array(columns, np.int64)
        if self.source.divides:
            codes, escapes = self.sites.show(*self.source.some(wanted))
        else:
            whole, _ = self.source.read()
            codes, escapes = self.sites.show(whole.codes, whole.escapes)
            codes, escapes = columns_of(codes, escapes, wanted)
        names = tuple(self.names[at] for at in wanted.tolist())
        return View(names, self.sites.sites, codes, escapes, self.sites.assembly, self.sites.not_assayed)


def settle_panel(
    vault: UnlockedVault, scope: AccessScope, limits: ReleaseLimits, decided: Decided, names: Mapping[SubjectId, Pseudonym]
) -> tuple[OpenPanel, View]:
    """Settle what a panel's view shows of the permitted people, in random row order: everybody's blocks are opened. And that view.

    Raises:
        IntegrityError: as ``open_view``.
    """
    from vault.genotypes.store.settled_reads import SettledChoice  # noqa: PLC0415 - as in ``open_view``
    from vault.views.deidentify import row_order  # noqa: PLC0415 - as in ``open_view``

    people = decided.permitted
    order = row_order(vault.random(32), [names[one] for one in people]).tolist()
    ordered, titles = [people[at] for at in order], [names[people[at]] for at in order]
    found: list[SettledChoice] = []

    def watch(source: CallSource, _hidden: HiddenPlaces) -> CallSource:
        found.append(SettledChoice(cast("Choice", source)))
        return found[-1]

    made = _deidentified(vault, scope, limits, ordered, titles, members=decided.members, at_once=True, watch=watch)
    sites, view = made.settled(), made.view()
    return OpenPanel(tuple(titles), tuple(ordered), found[0], sites, made.counted()), view


def _deidentified(
    vault: UnlockedVault,
    scope: AccessScope,
    limits: ReleaseLimits,
    people: Sequence[SubjectId],
    names: Sequence[Pseudonym],
    *,
    members: Members,
    at_once: bool = False,
    watch: Callable[[CallSource, HiddenPlaces], CallSource] | None = None,
    reader: Callable[[], dataset_reader.GenotypeReader] | None = None,
) -> Deidentified:
    """De-identify the calls of ``people``, named ``names``, in this order. ``watch``: makes what stands between the calls and the view, which hides
    these places; ``reader``: of these people, where it is kept.
    """
    from vault.views.deidentify import Deidentified  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command
    from vault.views.site_selection import Profile  # noqa: PLC0415 - as above

    selection = scope.selection()
    rules = limits.rules
    chosen = (reader() if reader is not None else _reader(vault, scope, people)).choose(selection)
    hidden = limits.hidden.and_places(_linked(vault, scope, limits, members, people))
    profile = Profile(
        keep_phase=rules.keep_phase,
        keep_ids=rules.keep_ids,
        keep_filters=rules.keep_filters,
        min_carriers=rules.min_carriers,
        hidden=hidden,
        regions=selection.regions,
    )
    return Deidentified(
        chosen if watch is None else watch(chosen, hidden),
        names,
        profile=profile,
        assembly=scope.dataset.assembly,
        panel=selection.panel.index if selection.panel else None,
        assayed=declared_assays.of_dataset(vault, scope.dataset.dataset_id),
        tracked=chosen.reference is not None,
        window_sites=max(1, chosen.n_sites) if at_once else None,
    )


def _linked(
    vault: UnlockedVault, scope: AccessScope, limits: ReleaseLimits, members: Members, people: Sequence[SubjectId]
) -> tuple[Interval, ...]:
    """Places that are linked with an excluded one, as it was decided on these people, whose calls are where ``members`` says, or on nearly the same.

    It is decided, of all that lies near the place, and kept before anything is shown. Where nothing is excluded, or nothing near it is
    asked for, nothing is read.
    """
    linkage, excluded = limits.rules.linkage, limits.excluded.intervals
    if linkage is None or not excluded:
        return ()
    asked = [locus.place for locus in (scope.panel.loci if scope.panel else ())]
    if scope.regions:
        asked += asked_regions.read_regions(scope.regions).intervals
    if scope.panel or scope.regions:
        open_to_it = renamed(Mask.from_intervals(asked)).minus(Mask.from_intervals(limits.hidden.masks))
        excluded = tuple(one for one in excluded if Mask((one,)).widened(linkage.window).intersection(open_to_it).intervals)
    if not excluded:
        return ()
    calls = members.places_of_each(people)
    with vault.books.read() as tx:
        known = linkage_decisions.of_dataset(vault, tx, scope.dataset.dataset_id)
    decided = {place: linkage_decisions.serving(known, place, linkage, calls) for place in excluded}
    held = [one for one in decided.values() if one is not None]
    new = [_decided(vault, scope, place, linkage, calls) for place, one in decided.items() if one is None]
    if new and vault.books.upgraded:  # a vault of before decides for each view until it is upgraded
        with vault.books.write() as tx:
            new = [linkage_decisions.keep(vault, tx, one) for one in new]
    return Mask.from_intervals(at for one in [*held, *new] for at in one.linked).intervals


def _decided(
    vault: UnlockedVault, scope: AccessScope, place: Interval, linkage: Linkage, calls: Mapping[SubjectId, bytes]
) -> LinkageDecision:
    """Look which sites are linked with a place in these people; the excluded place is opened too, to compare with."""
    from vault.views.linked_places import linked_places  # noqa: PLC0415 - as in ``open_view``

    people, only = sorted(calls), Mask((place,))
    reader = _reader(vault, scope, people)

    def read(places: tuple[Interval, ...], n_sites: int) -> Iterator[tuple[Calls, AlleleCounts]]:
        return (window.read() for window in reader.choose(Selection(regions=places)).windows(n_sites))

    linked = linked_places(read, excluded=only, hidden=only, asked=None, linkage=linkage, n_people=len(people))
    return LinkageDecision(scope.dataset.dataset_id, to_micros(vault.clock()), place, linkage, calls, linked)


def open_keys(vault: UnlockedVault, purpose: KeyPurpose, subjects: Sequence[SubjectId]) -> dict[bytes, bytes]:
    """Keys by subject. Raises IntegrityError ``key_missing`` unless every subject has one."""
    found = vault.keys.open_many(purpose, subjects)
    if len(found) != len(subjects):
        raise IntegrityError("key_missing", f"a {purpose.value} key is not in the key database", hint="run genovault doctor")
    return found


def opened(
    vault: UnlockedVault, scope: AccessScope, frozen: FrozenDecision, people: Sequence[SubjectId]
) -> dataset_reader.GenotypeReader:
    """Reader of those whom a decision permits, in this order, which is one for all reads under it: their keys are derived once. Raises as ``open_view``."""
    mine = tuple(people)
    return frozen.once(f"reader of {sha256(b''.join(mine)).hex()}", lambda: _reader(vault, scope, mine))


def open_calls(
    vault: UnlockedVault, scope: AccessScope, people: Sequence[SubjectId], *, frozen: FrozenDecision | None = None
) -> Read:
    """Reading of the calls of ``people``, in their order, to be counted inside: places in, genotypes out. Raises IntegrityError as ``open_view``."""
    reader = _reader(vault, scope, people) if frozen is None else opened(vault, scope, frozen, people)
    return lambda places: reader.read(Selection(regions=tuple(places)))


class Lent:
    """Loan of the gate to who counts: the decision on a question, in a transaction, and the calls of those whom it permits."""

    def __init__(self, vault: UnlockedVault, asked: AskedScope) -> None:
        self._vault, self._asked = vault, asked
        self._frozen: FrozenDecision | None = None

    def decide(self, tx: Transaction, _scope: AccessScope, when: Moment) -> tuple[Decided, ReleaseLimits]:
        """As ``counted_cohorts.Decide``, of the question's own scope."""
        self._frozen = self._asked.decide(self._vault, tx, when)
        return self._frozen.now(), self._frozen.limits

    def open_calls(self, scope: AccessScope, people: Sequence[SubjectId]) -> Read:
        """As the function of the module, of people whom the decision permits; what was opened for them is let go of where it fails."""
        frozen = self._frozen
        read = open_calls(self._vault, scope, people, frozen=frozen)

        def reading(places: Sequence[Interval]) -> Calls:
            try:
                return read(places)
            except BaseException:
                if frozen is not None:
                    frozen.drop()
                raise

        return reading


def _reader(vault: UnlockedVault, scope: AccessScope, people: Sequence[SubjectId]) -> dataset_reader.GenotypeReader:
    return dataset_reader.GenotypeReader(vault, scope.dataset, people, open_keys(vault, KeyPurpose.GENOTYPE, people))
