"""The whole vault against a model of plain dictionaries: whatever is done in whatever order, a release holds exactly what the model says.

The model knows people by name, what each said, and each part's calls as text. After every step the log verifies offline; every release
must equal the model's for the people permitted and nobody else, must have its intent and outcome in the log, and must name people as
this project always did and no other project does.
"""

from __future__ import annotations

import gzip
import itertools
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from policies.loci import Interval
from tests.support.carried import shown
from tests.support.gt_text import texts_of
from tests.support.held import Held
from tests.support.vcf_reading import text_rows
from tests.support.vcf_text import Record, SmallVcf, genotypes
from vault import gate
from vault.access import projects, releases
from vault.audit.bands import banded
from vault.consent import recording
from vault.errors import InputError, RefusedError
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import Locus
from vault.operations.erasure import process
from vault.session.subject_keys import SUBJECT_PURPOSES
from vault.subjects import sheet_import
from vault.subjects.references import resolve
from vault.subjects.subject_sheet import read_subject_sheet
from vault.views.view import View

CONTIGS = ("1", "2")
POSITIONS = range(1, 7)
DATASETS = ("left", "right")

Shown = tuple[str, int, str, str, str, tuple[str, ...]]  # CHROM, POS, REF, ALT, FILTER, calls


@dataclass(eq=False)
class Person:
    """Someone, and what they said. ``sample`` may be used again after an erasure, by someone new."""

    sample: str
    said: str = ""
    withdrawn: bool = False
    restricted: bool = False
    names: dict[str, str] = field(default_factory=dict)  # project -> pseudonym

    @property
    def permitted(self) -> bool:
        return self.said == "yes" and not self.withdrawn and not self.restricted


@dataclass
class Site:
    """A record of one part, or a line of several. ``alts``: an ALT that only an erased person carried is empty text."""

    contig: str
    pos: int
    ref: str
    alts: list[str]
    filter: str
    calls: dict[Person, str]

    def touches(self, contig: str, first: int, last: int) -> bool:
        return self.contig == contig and self.pos <= last and self.pos + len(self.ref) - 1 >= first

    def carried_by(self, person: Person) -> set[int]:
        text = self.calls.get(person, ".").replace("|", "/")
        return {int(allele) for allele in text.split("/") if allele not in {".", "0"}}


Part = list[Site]
Region = tuple[str, int, int]

sites = st.tuples(
    st.sampled_from(CONTIGS),
    st.sampled_from(POSITIONS),
    st.sampled_from([("A", ("G",)), ("A", ("T",)), ("A", ("G", "T")), ("AC", ("A", "ACC", "T")), ("C", ())]),
)
regions = st.tuples(st.sampled_from(CONTIGS), st.sampled_from(POSITIONS), st.integers(0, 3)).map(
    lambda drawn: (drawn[0], drawn[1], drawn[1] + drawn[2])
)


def _family(drawn: tuple[str, int, tuple[str, tuple[str, ...]]]) -> tuple[str, int, str]:
    """Place and REF: of these each file has one record; files with several have an oracle of their own (``test_part_merge``)."""
    return drawn[0], drawn[1], drawn[2][0]


class VaultMachine(RuleBasedStateMachine):
    """One vault and its model."""

    @initialize(data=st.data(), drawn=st.lists(sites, unique_by=_family, min_size=3, max_size=6))
    def begin(self, data: st.DataObject, drawn: list[tuple[str, int, tuple[str, tuple[str, ...]]]]) -> None:
        """A vault in which one dataset, its people's acceptances and a project on it are there already, so that most steps matter."""
        self.folder = Path(tempfile.mkdtemp())
        self.held = Held.make(self.folder)
        self.numbers = itertools.count()
        self.people: dict[str, Person] = {}
        self.registrar: dict[str, str] = {}  # sample -> the dataset that registered it; "" for a sheet
        self.parts: dict[str, list[Part]] = {}
        self.projects: dict[str, tuple[str, str]] = {}  # code -> (dataset, state)
        self.panels: dict[str, tuple[str, list[tuple[str, int]]]] = {}
        self.register(2)
        self.load(data, DATASETS[0], drawn)
        self.held.everyone_consents()
        for person in self.people.values():
            person.said = "yes"
        self.declare(DATASETS[0])

    def teardown(self) -> None:
        if hasattr(self, "held"):
            self.held.vault.close()
            shutil.rmtree(self.folder)

    # People

    @rule(count=st.integers(1, 2))
    def register(self, count: int) -> None:
        fresh = [f"x{next(self.numbers)}" for _ in range(count)]
        sheet = self.held.write("sheet.csv", "\n".join(["sample_id", *fresh]) + "\n")
        sheet_import.import_sheet(self.held.vault, read_subject_sheet(sheet, today=date(2026, 1, 1)))
        self.people |= {sample: Person(sample) for sample in fresh}
        self.registrar |= dict.fromkeys(fresh, "")

    @precondition(lambda self: self.people)
    @rule(data=st.data(), answer=st.sampled_from(["yes", "yes", "yes", "no"]))
    def consent(self, data: st.DataObject, answer: str) -> None:
        free = [person for person in self.people.values() if not person.withdrawn]
        chosen = data.draw(st.lists(st.sampled_from(free), min_size=1, unique=True)) if free else []
        if chosen:
            self.held.answer({f"sample:{person.sample}": answer for person in chosen})
        for person in chosen:
            person.said = answer

    @precondition(lambda self: self.people)
    @rule(data=st.data(), verb=st.sampled_from(["withdraw", "restrict", "lift", "lift"]))
    def object_or_lift(self, data: st.DataObject, verb: str) -> None:
        person = self.people[data.draw(st.sampled_from(sorted(self.people)))]
        if verb == "withdraw":
            recording.withdraw(self.held.vault, person.sample)
            person.withdrawn = True
        else:
            recording.restrict(self.held.vault, person.sample, lift=verb == "lift")
            person.restricted = verb == "restrict"

    @precondition(lambda self: len(self.people) > 2)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        person = self.people.pop(data.draw(st.sampled_from(sorted(self.people))))
        process.erase(self.held.vault, f"sample:{person.sample}")
        with pytest.raises(InputError):
            resolve(self.held.vault, person.sample)
        for site in itertools.chain.from_iterable(part for parts in self.parts.values() for part in parts):
            theirs = site.carried_by(person)
            site.calls.pop(person, None)
            lonely = theirs - set().union(*(site.carried_by(other) for other in site.calls))
            if lonely:
                site.alts = ["" if number in lonely else alt for number, alt in enumerate(site.alts, 1)]

    # Genotypes

    @rule(data=st.data(), name=st.sampled_from(DATASETS), drawn=st.lists(sites, unique_by=_family, max_size=6))
    def load(self, data: st.DataObject, name: str, drawn: list[tuple[str, int, tuple[str, tuple[str, ...]]]]) -> None:
        usable = [sample for sample in sorted(self.people) if self.registrar[sample] in ("", name)]
        samples = data.draw(st.lists(st.sampled_from(usable), unique=True, max_size=3)) if usable else []
        samples += [f"{name[0]}{next(self.numbers)}" for _ in range(data.draw(st.integers(0 if samples else 1, 2)))]
        records = []
        for contig, pos, (ref, alts) in sorted(drawn):
            calls = tuple(data.draw(genotypes(len(alts) + 1, max_ploidy=3)) for _ in samples)
            records.append(Record(contig, pos, ref, alts, calls, filter=data.draw(st.sampled_from(["PASS", ".", "q10"]))))
        path = self.held.write("part.vcf", SmallVcf(tuple(samples), tuple(records), tuple((c, 0) for c in CONTIGS)).data)
        before = self.held.traces()
        try:
            report = self.held.load(path, name=name, append=name in self.parts, assayed="all", accept=True)
        except InputError as error:
            assert (error.code, records) == ("no_sites", [])
            assert self.held.traces() == before
            return
        fresh = [sample for sample in samples if sample not in self.people]
        assert (report.sites, report.new, report.matched) == (len(records), len(fresh), len(samples) - len(fresh))
        self.people |= {sample: Person(sample) for sample in fresh}
        self.registrar |= dict.fromkeys(fresh, name)
        members = [self.people[sample] for sample in samples]
        part = [Site(r.contig, r.pos, r.ref, list(r.alts), r.filter, dict(zip(members, r.gts, strict=True))) for r in records]
        self.parts.setdefault(name, []).append(part)

    @precondition(lambda self: self.parts)
    @rule(
        data=st.data(), places=st.lists(st.tuples(st.sampled_from(CONTIGS), st.sampled_from(POSITIONS)), min_size=1, unique=True)
    )
    def panel(self, data: st.DataObject, places: list[tuple[str, int]]) -> None:
        name, dataset = f"panel{next(self.numbers)}", data.draw(st.sampled_from(sorted(self.parts)))
        loci = [Locus(Interval.from_positions(contig, pos, pos)) for contig, pos in places]
        panel_builder.create(self.held.vault, datasets.by_name(self.held.vault, dataset), name, loci)
        self.panels[name] = (dataset, places)

    # Projects

    @precondition(lambda self: len(self.projects) < 3)
    @rule(dataset=st.sampled_from(DATASETS))
    def declare(self, dataset: str) -> None:
        code = f"code{next(self.numbers)}"
        try:
            self.held.project(code, dataset)
        except InputError as error:
            assert (error.code, dataset in self.parts) == ("dataset_unknown", False)
            self.projects[code] = (dataset, "draft")
            return
        assert dataset in self.parts
        self.projects[code] = (dataset, "approved")

    @precondition(lambda self: self.projects)
    @rule(data=st.data(), verb=st.sampled_from(["approve", "approve", "suspend", "close"]))
    def change(self, data: st.DataObject, verb: str) -> None:
        code = data.draw(st.sampled_from(sorted(self.projects)))
        dataset, state = self.projects[code]
        fits = {"approve": state in ("suspended", "draft"), "suspend": state == "approved", "close": state != "closed"}[verb]
        try:
            projects.change(self.held.vault, code, verb)
        except InputError as error:
            gone = verb == "approve" and fits and dataset not in self.parts
            assert error.code == ("dataset_unknown" if gone else "project_state")
            assert gone or not fits
            return
        assert fits
        self.projects[code] = (dataset, {"approve": "approved", "suspend": "suspended", "close": "closed"}[verb])

    # Releases

    @precondition(lambda self: self.projects)
    @rule(data=st.data(), region=st.none() | regions, door=st.sampled_from(["vcf", "view"]))
    def release(self, data: st.DataObject, region: Region | None, door: str) -> None:
        code = data.draw(st.sampled_from(sorted(self.projects)))
        dataset = self.projects[code][0]
        wanted = [site for site in self._rows(dataset) if region is None or site.touches(*region)]
        self._ask(code, door, wanted, regions=[] if region is None else ["{}:{}-{}".format(*region)])

    @precondition(lambda self: self.projects and self.panels)
    @rule(data=st.data(), door=st.sampled_from(["vcf", "view"]))
    def release_panel(self, data: st.DataObject, door: str) -> None:
        code = data.draw(st.sampled_from(sorted(self.projects)))
        dataset = self.projects[code][0]
        fitting = sorted(name for name, (of, _) in self.panels.items() if of == dataset)
        if fitting:
            name = data.draw(st.sampled_from(fitting))
            places = self.panels[name][1]
            wanted = [site for site in self._rows(dataset) if (site.contig, site.pos) in places]
            there = {(site.contig, site.pos) for site in wanted}
            missing = tuple(f"{contig}:{pos}" for contig, pos in places if (contig, pos) not in there)
            self._ask(code, door, wanted, panel=name, missing=missing)

    @rule()
    def reopen(self) -> None:
        self.held.reopen()

    @rule()
    def checkpoint(self) -> None:
        self.held.vault.trail.checkpoint()

    # What always holds

    @invariant()
    def the_log_verifies(self) -> None:
        if hasattr(self, "held"):
            self.held.vault.trail.checkpoint()
            report = self.held.verified()
            assert (report.findings, report.unsigned, report.open_intents) == ((), (), ())

    @invariant()
    def each_project_sees_what_the_model_says(self) -> None:
        for code, (dataset, _) in getattr(self, "projects", {}).items():
            self._ask(code, "view", self._rows(dataset))

    @invariant()
    def nobody_is_without_keys(self) -> None:
        if hasattr(self, "held"):
            everyone = [resolve(self.held.vault, f"sample:{sample}") for sample in self.people]
            for purpose in SUBJECT_PURPOSES:
                assert set(self.held.vault.keys.open_many(purpose, everyone)) == set(everyone)

    # Model and comparison

    def _rows(self, dataset: str) -> list[Site]:
        """The records that the parts of permitted people have, one for each place and REF: with the ALTs of all, and of each person the
        first call that is not missing.
        """
        united: dict[tuple[str, int, str], Site] = {}
        for part in self.parts.get(dataset, []):
            if not any(person.permitted for site in part for person in site.calls):
                continue
            for site in part:
                line = united.setdefault(
                    (site.contig, site.pos, site.ref), Site(site.contig, site.pos, site.ref, [], site.filter, {})
                )
                line.alts += [alt for alt in site.alts if alt not in line.alts]
                line.filter = max(line.filter, site.filter, key=[".", "PASS", "q10"].index)
                for person, call in site.calls.items():
                    if not set(line.calls.get(person, ".")) - set("./|"):
                        renumbered = _spelled(call, {n: line.alts.index(alt) + 1 for n, alt in enumerate(site.alts, 1)})
                        line.calls[person] = renumbered if set(call) - set("./|") else line.calls.get(person, call)
        return list(united.values())

    def _members(self, dataset: str) -> list[Person]:
        return list(dict.fromkeys(p for part in self.parts.get(dataset, []) for site in part for p in site.calls))

    def _ask(
        self,
        code: str,
        door: str,
        wanted: list[Site],
        *,
        panel: str | None = None,
        missing: tuple[str, ...] = (),
        **where: list[str],
    ) -> None:
        dataset, state = self.projects[code]
        permitted = [person for person in self._members(dataset) if person.permitted]
        size = self.held.vault.trail.log.size()
        held = {site.contig for part in self.parts.get(dataset, []) for site in part}
        elsewhere = any(region.split(":")[0] not in held for region in where.get("regions", ()))
        reason = ("dataset_unknown" if dataset not in self.parts else "project_not_approved" if state != "approved" else
                  "" if permitted else "no_one_permitted")  # fmt: skip
        out = self.folder / f"out{next(self.numbers)}"
        try:
            if door == "view":
                view = gate.view(self.held.vault, project=code, dataset=dataset, panel=panel, regions=where.get("regions", ()))
                names, rows = list(view.pseudonyms), _rows_of(view)
                assert view.not_assayed == missing
            else:
                request = self.held.request(code, dataset, panel=panel, **where)
                release = gate.extract(self.held.vault, request, out)
                assert release.state == releases.RELEASED
                names, rows = _read(out)
        except (InputError, RefusedError) as error:
            if elsewhere and error.code == "contig_not_held":  # before or after the project's state, by the door
                pass
            elif not reason:  # permitted, and none of the people who may be shown carries anything that was asked for
                assert (error.code, door != "view") == ("nothing_to_release", True)
                assert not _expected(wanted, list(permitted), fixed=panel is not None, regions=where.get("regions", []))
            else:
                assert error.code == reason
            assert not out.exists()
            (entry,) = [e for e in self.held.entries(size) if e["outcome"] in ("refused", "failed")]
            assert entry["reasons"] == {error.code: 1}
            return
        assert (reason, elsewhere) == ("", False)
        self._require_logged(size, door, len(names), len(rows))
        columns = self._recognise(code, names)
        assert sorted(p.sample for p in columns) == sorted(p.sample for p in permitted)
        assert _in_order(rows)
        expected = _expected(wanted, columns, fixed=panel is not None, regions=where.get("regions", []))
        assert sorted(map(_by_texts, rows)) == sorted(map(_by_texts, expected))

    def _require_logged(self, size: int, door: str, people: int, sites: int) -> None:
        kind = "view" if door == "view" else "extract"
        intent, outcome = [e for e in self.held.entries(size) if e["act"] in (f"{kind}.intent", f"{kind}.outcome")]
        assert (intent["act"], intent["outcome"]) == (f"{kind}.intent", "intent")
        assert (outcome["act"], outcome["outcome"], outcome["refers"]) == (f"{kind}.outcome", "done", intent["id"])
        assert intent["subj"]["n"] == people
        assert outcome["counts"] == banded({"subjects": people, "sites": sites})

    def _recognise(self, code: str, names: list[str]) -> list[Person]:
        """The people behind pseudonyms, which must be the same in every release of the project and of no other project."""
        known = self.held.names(code)
        found = [self.people[known[name]] for name in names]
        for person, name in zip(found, names, strict=True):
            assert person.names.setdefault(code, name) == name
        others = {n for p in self.people.values() for project, n in p.names.items() if project != code}
        assert not others & set(names)
        return found


def _spelled(call: str, numbers: dict[int, int]) -> str:
    """A call with other numbers for its ALTs."""
    return re.sub(r"\d+", lambda found: str(numbers.get(int(found[0]), 0)), call)


def _by_texts(row: Shown) -> Shown:
    """A row with its ALTs in the order of their texts, in which the model has no say; unphased calls sorted."""
    alts = row[3].split(",")
    numbers = {at: sorted(alts).index(alt) + 1 for at, alt in enumerate(alts, 1)}
    calls = (_spelled(call, numbers) for call in row[5])
    return (
        *row[:3],
        ",".join(sorted(alts)),
        row[4],
        tuple(call if "|" in call else "/".join(sorted(call.split("/"))) for call in calls),
    )


def _rows_of(view: View) -> list[Shown]:
    rows = []
    for at, calls in enumerate(texts_of(view.codes, view.escapes)):
        ref, _, alts = view.sites.alleles[at].decode().partition(",")
        contig = view.sites.contigs[view.sites.contig[at]]
        rows.append((contig, int(view.sites.pos[at]), ref, alts or ".", view.sites.filters[at].decode(), tuple(calls)))
    return rows


def _read(folder: Path) -> tuple[list[str], list[Shown]]:
    text = gzip.decompress((folder / "genotypes.vcf.gz").read_bytes()).decode()
    (header,) = [line.split("\t") for line in text.splitlines() if line.startswith("#CHROM")]
    return header[9:], [(c, int(p), ref, alt, filters, tuple(calls)) for c, p, _, ref, alt, filters, calls in text_rows(text)]


def _expected(wanted: list[Site], columns: list[Person], *, fixed: bool, regions: list[str]) -> list[Shown]:
    rows = []
    asked = [(region.partition(":")[0], *map(int, region.partition(":")[2].split("-"))) for region in regions]
    for site in wanted:
        calls = [site.calls.get(person, "./.") for person in columns]
        row = shown((site.contig, str(site.pos), ".", site.ref, ",".join(site.alts) or ".", site.filter, calls), fixed=fixed)
        # what was shortened to another place than was asked for is left out
        spelled = Site(row[0], int(row[1]), row[3], [], "", {}) if row else None
        there = spelled and (spelled.pos == site.pos if fixed else not asked or any(spelled.touches(*region) for region in asked))
        if row is not None and there:
            rows.append((row[0], int(row[1]), row[3], row[4], row[5], tuple(row[8:])))
    return rows


def _in_order(rows: list[Shown]) -> bool:
    """Each contig in one run, positions ascending in it."""
    runs = [(contig, [row[1] for row in run]) for contig, run in itertools.groupby(rows, key=lambda row: row[0])]
    return len({contig for contig, _ in runs}) == len(runs) and all(run == sorted(run) for _, run in runs)


# Not shrunk: a failure's steps are printed anyway, and shrinking repeats minutes of work.
COMMON = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
    "database": None,
    "phases": (Phase.generate,),
}


def test_the_vault_does_what_its_model_says():
    run_state_machine_as_test(VaultMachine, settings=settings(max_examples=3, stateful_step_count=8, **COMMON))


@pytest.mark.long
def test_the_vault_does_what_its_model_says_at_length():
    run_state_machine_as_test(VaultMachine, settings=settings(max_examples=8, stateful_step_count=30, **COMMON))
