"""Histories of a dataset as data: what came, left and was corrected, in whatever order; and the same history as if who left had never come.

``drawn`` makes one step after another of a seeded generator, ``Model`` knows whose each call is after it, and ``Model.told`` tells the history anew:
imports alone, of whom each call is in the end, without whoever left. ``played_histories`` carries them out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.support.gvcf_text import HEADER
from tests.support.vcf_text import Record, SmallVcf

PLACES = (30, 31, 45, 60)
LAST = 100
LOCI = b"contig\tpos\tref\talt\n1\t30\tA\tG\n1\t30\tA\tT,C\n1\t31\t\t\n1\t45\tAA\tA\n1\t60\tA\tG\n1\t61\tA\tC\n"
SPANS = b"contig\tpos\tref\talt\n1\t30\t\t\n1\t45\t\t\n1\t60\t\t\n"  # no exact locus


@dataclass(frozen=True)
class Line:
    """A record of a gVCF: of one person."""

    pos: int
    ref: str
    alts: str
    gt: str
    gq: int
    id: str = "."
    filter: str = "."
    info: str = "."

    @property
    def text(self) -> str:
        fixed = f"1\t{self.pos}\t{self.id}\t{self.ref}\t{self.alts}\t.\t{self.filter}\t{self.info}"
        return f"{fixed}\tGT:DP:GQ\t{self.gt}:30:{self.gq}"


@dataclass(frozen=True)
class Gvcf:
    """A file with blocks, of one sample."""

    samples: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def data(self) -> bytes:
        head = HEADER + '##FILTER=<ID=q10,Description="q">\n' + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"
        return (head + self.samples[0] + "\n" + "".join(line.text + "\n" for line in self.lines)).encode()


File = Gvcf | SmallVcf


@dataclass(frozen=True)
class Step:
    """An act of a history: ``act`` and what it is about. ``names``: people by sample name; ``at``: number of an import."""

    act: str
    names: tuple[str, ...] = ()
    at: int = -1
    file: File | None = None
    loci: bytes = b""


def gvcf_of(rng: random.Random, sample: str) -> Gvcf:
    lines: list[Line] = []
    at = 1
    while at <= LAST:
        here = at in PLACES
        kind = rng.choice(
            ["snv", "snv", "two", "deletion", "insertion", "block", "gap"] if here else ["block", "block", "block", "gap"]
        )
        ahead = min([place for place in (*PLACES, LAST + 1) if place > at])
        ids, filters = rng.choice([".", ".", f"rs{at}"]), rng.choice([".", "PASS", "PASS", "q10"])
        one = rng.choice(["0/1", "1/1", "0|1"])
        if kind == "block":
            end = rng.randint(at, ahead - 1) if rng.random() < 0.3 else ahead - 1
            lines.append(Line(at, "A", "<NON_REF>", "0/0", rng.choice([5, 20, 29, 60, 60, 60]), info=f"END={end}"))
            at = end + 1
        elif kind == "gap":
            at = ahead
        elif kind == "snv":
            alts, gt = rng.choice([("G", one), ("G", one), ("C", one), ("G,T", "1/2"), ("T,G", "1/2"), ("G,T", "0/2")])
            lines.append(Line(at, "A", f"{alts},<NON_REF>", gt, 50, ids, filters))
            at += 1
        elif kind == "two":
            lines.append(Line(at, "A", f"{rng.choice(['AG', 'G'])},<NON_REF>", one, 50, ids, filters))
            lines.append(Line(at, "AA", "A,<NON_REF>", rng.choice(["0/1", "1/1"]), 50, ".", rng.choice([".", "PASS"])))
            at += 1
        elif kind == "deletion":
            size = rng.choice([2, 3])
            lines.append(Line(at, "A" * size, "A,<NON_REF>", one, 50, ids, filters))
            at += size
        else:
            lines.append(Line(at, "A", f"{rng.choice(['AC', '<INS>'])},<NON_REF>", one, 50, ids, filters))
            at += 1
    return Gvcf((sample,), tuple(lines))


def plain_of(rng: random.Random, samples: Sequence[str]) -> SmallVcf:
    """A VCF without blocks: split records, listed ALTs that nobody has, names and filters, calls that no code holds."""
    records: list[Record] = []
    for pos in sorted(rng.sample([*PLACES, 61, 75], rng.randint(2, 5))):
        chosen = rng.sample(
            [("A", "G"), ("A", "G"), ("A", "T"), ("A", "C,T"), ("A", "G,T"), ("A", "AC"), ("AA", "A"), ("A", "T,G")],
            rng.choice([1, 1, 2, 3]),
        )
        known: set[tuple[str, str]] = set()
        for ref, alts in chosen:
            listed = tuple(alts.split(","))
            if any((ref, alt) in known for alt in listed):  # no caller lists an ALT twice
                continue
            known |= {(ref, alt) for alt in listed}
            some = [
                "0/0",
                "0/0",
                "./.",
                "0/1",
                "0|1",
                "1/1",
                *(["0/2", "1/2"] if len(listed) > 1 else []),
                *rng.choice([[], ["1"], ["0/1/1"], ["./1"]]),
            ]
            gts = tuple(rng.choice(some) for _ in samples)
            name, failed = rng.choice([".", ".", f"rs{pos}", "x1"]), rng.choice(["PASS", "PASS", ".", "q10"])
            records.append(Record("1", pos, ref, listed, gts, id=name, filter=failed))
    return SmallVcf(tuple(samples), tuple(records), (("1", 0),))


def only(file: File, keep: Callable[[str], str | None]) -> File | None:
    """The file of the samples of which ``keep`` tells a name; None if of none."""
    named = [(at, name) for at, sample in enumerate(file.samples) if (name := keep(sample)) is not None]
    if not named:
        return None
    if isinstance(file, Gvcf):
        return replace(file, samples=(named[0][1],))
    records = tuple(replace(one, gts=tuple(one.gts[at] for at, _ in named)) for one in file.records)
    return replace(file, samples=tuple(name for _, name in named), records=records)


@dataclass
class Model:
    """Whose the calls of each import's columns are by now, by sample; None: of nobody any more.

    ``corrected``: columns whose calls are in a part of their own; ``moved``: those of them that stand behind all that had come, and how many files
    had. ``alias``: merged registrations. ``left``: who withdrew. ``blanked``: imports of several people of which some were blanked, and how many had come then.
    """

    files: list[File] = field(default_factory=list)
    owners: list[dict[str, str | None]] = field(default_factory=list)
    corrected: set[tuple[int, str]] = field(default_factory=set)
    moved: dict[tuple[int, str], int] = field(default_factory=dict)
    alias: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    blanked: dict[int, int] = field(default_factory=dict)

    def blank(self, at: int) -> None:
        """Tell that what somebody alone carried of an import is blanked now."""
        if len(self.files[at].samples) > 1:
            self.blanked[at] = len(self.files)

    def unsure(self, *, late: bool) -> set[str]:
        """People whose reference calls may be missing where only those carried something who left. ``late``: only where something was
        imported since."""
        some = [at for at, came in self.blanked.items() if not late or came < len(self.files)]
        return {owner for at in some for owner in self.owners[at].values() if owner is not None}

    def touched(self) -> set[tuple[int, str]]:
        """(position, REF) of records that may have lost an ALT, since somebody left a file of several people."""
        return {(one.pos, one.ref) for at in self.blanked for one in self.files[at].records}

    def split(self) -> set[tuple[int, str]]:
        """Those of ``touched`` of which a file has several records: which of them listed what was blanked nobody knows."""
        every = [[(one.pos, one.ref) for one in self.files[at].records] for at in self.blanked]
        return {place for places in every for place in places if places.count(place) > 1}

    def who(self, sample: str) -> str:
        while sample in self.alias:
            sample = self.alias[sample]
        return sample

    def come(self, file: File, *, instead: bool) -> None:
        """Tell of an import; ``instead``: of what its people had."""
        people = {sample: self.who(sample) for sample in file.samples}
        self.files.append(file)
        self.owners.append(dict(people))
        for at in range(len(self.files) - 1) if instead else ():
            self.end(at, lambda owner: owner in people.values())

    def end(self, at: int, of: Callable[[str], bool]) -> None:
        if any(owner is not None and of(owner) for owner in self.owners[at].values()):
            self.blank(at)
        self.owners[at] = {
            sample: None if owner is not None and of(owner) else owner for sample, owner in self.owners[at].items()
        }

    def give(self, old: str, new: str, *, moved: bool) -> None:
        """Tell that the calls of one are the other's; ``moved``: they stand behind all that had come."""
        self._become({old: new}, moved=moved)

    def exchange(self, one: str, other: str) -> None:
        """Tell that each has the other's calls, which stand behind all that had come."""
        self._become({one: other, other: one}, moved=True)

    def _become(self, becomes: Mapping[str, str], *, moved: bool) -> None:
        for at, sample in self._as_read():
            owner = self.owners[at][sample]
            if owner in becomes:
                self.owners[at][sample] = becomes[owner]
                self.corrected.add((at, sample))
                if moved:
                    self.moved.pop((at, sample), None)
                    self.moved[at, sample] = len(self.files)

    def _as_read(self) -> list[tuple[int, str]]:
        """Columns in the order in which they are read."""
        nth = {column: place for place, column in enumerate(self.moved)}
        columns = [(at, sample) for at, owners in enumerate(self.owners) for sample in owners]
        return sorted(columns, key=lambda column: (self.moved.get(column, column[0] + 1), nth.get(column, -1)))

    def holders(self) -> list[str]:
        """People who have calls, and are readable."""
        every = {owner for owners in self.owners for owner in owners.values() if owner is not None}
        return sorted(every - self.erased)

    def told(self) -> list[Step]:
        """Imports as if those who left had never come, each of whose the calls are now, in the order in which they are read."""
        steps: list[Step | None] = []
        for at, file in enumerate(self.files):
            apart = [sample for sample in file.samples if (at, sample) in self.corrected and len(file.samples) > 1]
            moved = [sample for sample in file.samples if (at, sample) in self.moved]
            steps.append(self._import(at, [sample for sample in file.samples if sample not in {*apart, *moved}]))
            steps += [self._import(at, [sample]) for sample in apart if sample not in moved]
            steps += [self._import(of, [sample]) for (of, sample), came in self.moved.items() if came == at + 1]
        return [step for step in steps if step is not None]

    def _import(self, at: int, samples: Sequence[str]) -> Step | None:
        """Some columns of a file, under the names of those whose they are; None where nobody's is left."""
        gone = {None, *self.left, *self.erased}
        owners = {sample: self.owners[at][sample] for sample in samples}
        file = only(self.files[at], lambda sample: None if owners.get(sample) in gone else owners[sample])
        return None if file is None else Step("import", at=at, file=file)


NAMES = tuple("ABCDEFG")


def fits(step: Step, model: Model) -> bool:
    """True if a step can be taken after what has happened."""
    holders = model.holders()
    if step.act in ("import", "replace"):
        people = [model.who(sample) for sample in step.file.samples]
        return len(set(people)) == len(people) and not model.erased & {*people, *step.file.samples}
    if not model.files:
        return False
    if step.act == "remove":
        return step.at < len(model.files) and any(model.owners[step.at].values())
    if step.act in ("merge", "move", "swap"):
        old, new = step.names
        known = {model.who(sample) for file in model.files for sample in file.samples} - model.erased
        return {old, new} <= known and old != new and (step.act == "merge" or old in holders)
    if step.act in ("withdraw", "erase"):
        known = {model.who(sample) for file in model.files for sample in file.samples} - model.erased
        return step.names[0] in known and step.names[0] not in model.left
    return True


def drawn(rng: random.Random, model: Model, *, leaving: bool = True, coming: bool = True) -> Step:
    """A step that fits. ``leaving``: people may leave, and calls be corrected; ``coming``: files may come."""
    acts = ["import"] * 6 + ["join"] * 2 + ["compact", "panel", "replace", "upgrade"]
    acts += ["merge", "move", "swap", "withdraw", "remove", "erase"] if leaving else []
    while True:
        act = rng.choice(acts) if model.files else "import"
        if act in ("import", "replace") and not coming:
            continue
        if act in ("import", "replace"):
            if rng.random() < 0.6:
                file: File = gvcf_of(rng, rng.choice(NAMES))
            else:
                file = plain_of(rng, rng.sample(NAMES, rng.choice([1, 2, 2, 3])))
            step = Step(act, file=file)
        elif act == "remove":
            step = Step(act, at=rng.randrange(len(model.files)))
        elif act in ("merge", "move", "swap"):
            step = Step(act, tuple(rng.sample(NAMES, 2)))
        elif act in ("withdraw", "erase"):
            step = Step(act, (rng.choice(NAMES),))
        else:
            step = Step(act, loci=rng.choice([LOCI, SPANS]))
        if fits(step, model):
            return step
