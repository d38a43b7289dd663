"""Histories of a dataset (``person_histories``) carried out on a vault, and what a researcher sees afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.support.gt_text import texts_of
from tests.support.held import Held
from tests.support.person_histories import File, Model, Step
from vault import gate
from vault.consent import recording
from vault.errors import GenovaultError, RefusedError
from vault.genotypes.catalog import datasets, panel_builder, part_list
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.import_plan import ImportOptions
from vault.genotypes.loci import parse_loci
from vault.operations import dataset_upgrade
from vault.operations.compaction import process as compaction
from vault.operations.compaction.candidates import candidates
from vault.operations.compaction.plan import compaction_plan
from vault.operations.corrections import merging, moving, removal, replacement
from vault.operations.erasure import process as erasure

MAY_REFUSE = ("dataset_unknown", "no_sites", "replace_narrower", "merge_order", "calls_differ", "sample_swap")


class Played:
    """A vault in which a history's steps are carried out, one after the other, with the model beside it."""

    def __init__(self, held: Held, **options: Any) -> None:
        self.held, self.options = held, options
        self.model = Model()
        self.places: list[set[int]] = []  # of each import among the dataset's parts
        self.panels: list[str] = []

    def import_file(self, file: File, *, instead: bool = False) -> None:
        held, known = self.held, set(self._parts().values())
        path = held.write(f"{len(self.places)}.vcf", file.data)
        options = dict(self.options, accept=True, append=bool(datasets.all_named(held.vault)))
        if instead:
            chosen = ImportOptions(unknown="register", **options)
            replacement.import_instead(held.vault, [path], name="cohort", assembly="GRCh38", options=chosen, reason="new")
        else:
            held.load(path, **options)
        self.places.append(set(self._parts().values()) - known)
        self.model.come(file, instead=instead)

    def _parts(self) -> dict[str, int]:
        """Id and place of each import that the dataset holds, those that were joined too."""
        if not datasets.all_named(self.held.vault):
            return {}
        rows = part_list._rows(self.held.vault, self.dataset, joined=True)
        return {row.part_id.hex(): row.ordinal for row in rows if getattr(row, "compacted", None) is None}

    @property
    def dataset(self) -> Dataset:
        return datasets.by_name(self.held.vault, "cohort")

    def step(self, step: Step) -> bool:
        """Carry out a step; False where it was refused, as it may be."""
        try:
            getattr(self, "_" + step.act)(step)
        except GenovaultError as error:
            if error.code not in MAY_REFUSE:
                raise
            return False
        return True

    def _import(self, step: Step) -> None:
        self.import_file(step.file)

    def _replace(self, step: Step) -> None:
        self.import_file(step.file, instead=True)

    def _compact(self, _step: Step) -> None:
        compaction.compact(self.held.vault, "cohort")

    def _join(self, _step: Step) -> None:
        groups = compaction_plan(*candidates(self.held.vault, self.dataset), whole=True)
        if groups:
            compaction._join(self.held.vault, self.dataset, groups[0])

    def _upgrade(self, _step: Step) -> None:
        dataset_upgrade.upgrade(self.held.vault, "cohort")

    def _panel(self, step: Step) -> None:
        name = f"p{len(self.panels)}"
        panel_builder.create(self.held.vault, self.dataset, name, parse_loci(step.loci, name="loci"))
        self.panels.append(name)

    def _merge(self, step: Step) -> None:
        stays, goes = step.names
        merging.merge(self.held.vault, f"sample:{stays}", f"sample:{goes}", reason="one person", accept=True)
        self.model.give(goes, stays, moved=False)
        self.model.alias[goes] = stays
        if goes in self.model.left:
            self.model.left.add(stays)

    def _move(self, step: Step) -> None:
        old, new = step.names
        moving.move(self.held.vault, "cohort", f"sample:{old}", f"sample:{new}", reason="mixed up")
        self.model.give(old, new, moved=True)

    def _swap(self, step: Step) -> None:
        old, new = step.names
        moving.move(self.held.vault, "cohort", f"sample:{old}", f"sample:{new}", swap=True, reason="mixed up")
        self.model.exchange(old, new)

    def _remove(self, step: Step) -> None:
        for part in sorted(part for part, place in self._parts().items() if place in self.places[step.at]):
            removal.remove(self.held.vault, "cohort", part=part, reason="wrong", accept=True)
        owners = self.model.owners[step.at]
        self.model.owners[step.at] = {s: o if (step.at, s) in self.model.moved else None for s, o in owners.items()}

    def _withdraw(self, step: Step) -> None:
        recording.withdraw(self.held.vault, f"sample:{step.names[0]}")
        self.model.left.add(step.names[0])

    def _erase(self, step: Step) -> None:
        erasure.erase(self.held.vault, f"sample:{step.names[0]}")
        for at, owners in enumerate(self.model.owners):
            if step.names[0] in owners.values():
                self.model.blank(at)
        self.model.erased.add(step.names[0])


def shown(played: Played, panels: Sequence[str]) -> list[Any]:
    """What a researcher sees: of everything and of each panel the lines, with calls by person, and the loci that were not assayed."""
    held, seen = played.held, []
    names = {name: played.model.who(sample) for name, sample in held.names("demo").items()}
    for panel in (None, *panels):
        try:
            view = gate.view(held.vault, project="demo", dataset="cohort", panel=panel)
        except RefusedError as error:
            seen.append(error.code)
            continue
        people = [names[name] for name in view.pseudonyms]
        calls = [dict(sorted(zip(people, row, strict=True))) for row in texts_of(view.codes, view.escapes)]
        sites = view.sites
        texts = zip(
            sites.pos.tolist(),
            sites.alleles.items(),
            sites.ids.items(),
            sites.filters.items(),
            sites.info.items(),
            calls,
            strict=True,
        )
        seen.append((sorted(texts, key=lambda line: (line[:5], str(line[5]))), view.not_assayed))
    return seen


def unlike(played: Played, left: Sequence[Any], never: Sequence[Any]) -> list[Any]:
    """What differs, but for what the design says of places at which something was blanked (docs/design/genotypes.md §8, §9): whose file of several
    people lost an ALT there may have no reference call, and a panel may not ask that record.
    """
    found: list[Any] = []
    model = played.model
    for number, (mine, wanted) in enumerate(zip(left, never, strict=True)):
        if mine == wanted:
            continue
        if isinstance(mine, str) or isinstance(wanted, str):
            found.append((number, mine, wanted))
            continue
        touched = model.touched() if number else set()
        rows, others = ([line for line in side[0] if _place(line) not in touched] for side in (mine, wanted))
        unsure = model.unsure(late=not number)
        where = {place: model.unsure(late=False) for place in model.split()}
        pairs = zip(rows, others, strict=True) if len(rows) == len(others) else ()
        if len(rows) != len(others) or any(
            not _agree(one, other, unsure | where.get(_place(one), set())) for one, other in pairs
        ):
            found.append((number, mine, wanted))
        places = {f"1:{pos}" for pos, _ in touched}
        if set(mine[1]) - places != set(wanted[1]) - places:
            found.append((number, mine[1], wanted[1]))
        for place in touched:
            found += [(number, place, name) for name in _invented(mine[0], wanted[0], place)]
    return found


Line5 = tuple[int, bytes, bytes, bytes, bytes, dict[str, str]]


def _place(line: Line5) -> tuple[int, str]:
    return line[0], line[1].split(b",")[0].decode()


def _agree(one: Line5, other: Line5, unsure: set[str]) -> bool:
    """True if two lines say the same, but for reference calls that are missing of people of whom that may be."""
    cells = ((name, one[5].get(name), other[5].get(name)) for name in {*one[5], *other[5]})
    same = all(a == b or (name in unsure and a in NOTHING and b in REFERENCE) for name, a, b in cells)
    return one[:5] == other[:5] and same


def _invented(rows: Sequence[Line5], others: Sequence[Line5], place: tuple[int, str]) -> list[str]:
    """People who carry other alleles at a place than they did."""
    said, wanted = (_carried([line for line in some if _place(line) == place]) for some in (rows, others))
    return [name for name, alleles in said.items() if not alleles <= wanted.get(name, set())]


def _carried(lines: Sequence[Line5]) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = {}
    for line in lines:
        alleles = line[1].split(b",")
        for name, call in line[5].items():
            numbers = [part for part in call.replace("|", "/").split("/") if part not in (".", "0")]
            found.setdefault(name, set()).update(alleles[int(number)] for number in numbers)
    return found


NOTHING, REFERENCE = {"./.", "."}, {"0/0", "0|0", "0", "0/0/0"}
