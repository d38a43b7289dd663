"""request/1: a request as a file that a researcher writes, and its template (``docs/formats/request.md``).

``parse_request`` takes the mapping that the caller loaded, from YAML or JSON, and returns a frozen ``RequestFile``, or raises an error that
lists every problem with its place; ``lint`` returns the list alone. What exists in a vault is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from policies import canonical
from policies.declarations import CODE
from policies.disclosure import alleles, nats, noise
from policies.disclosure.nats import Micronats
from policies.disclosure.view_profiles import ViewField
from policies.errors import InputProblem, PolicyInputError
from policies.loci import END
from policies.purposes import RequestKind
from policies.region_syntax import read_region_text
from policies.strict_mapping import Section

FORMAT = "request/1"
EVERYTHING = "all"
_NOISY = (RequestKind.COUNTS, RequestKind.PRESENCE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class AskedField(StrEnum):
    """Fields of each call that are asked for."""

    GENOTYPES = "genotypes"
    PHASE = "phase"
    IDS = "ids"


@dataclass(frozen=True)
class RequestFile:
    """A request as it is written. Regions, genes and a panel are a union; none of them: the whole dataset, which the file says.

    Counts and presence are of ``alleles``, CONTIG:POS:REF:ALT, or of a panel's, with ``epsilon`` or ``accuracy`` (neither: as the project
    has it); frequencies are of a panel. These have no ``fields``.
    """

    project: str
    dataset: str
    kind: RequestKind = RequestKind.RECORDS
    regions: tuple[str, ...] = ()
    genes: tuple[str, ...] = ()
    panel: str | None = None
    fields: tuple[AskedField, ...] = (AskedField.GENOTYPES,)
    person: str = ""  # whom it is for, as the vault calls them
    reason: str = ""
    alleles: tuple[str, ...] = ()
    epsilon: Micronats | None = None
    accuracy: int | None = None  # carriers

    def as_dict(self) -> dict[str, object]:
        """The request as JSON values in the shape of the file; what is not said is left out."""
        named = {"regions": list(self.regions), "genes": list(self.genes), "alleles": list(self.alleles), "panel": self.panel}
        full: dict[str, object] = {
            "format": FORMAT,
            "project": self.project,
            "dataset": self.dataset,
            "kind": str(self.kind),
            "loci": {name: value for name, value in named.items() if value} or EVERYTHING,
            "fields": [str(field) for field in self.fields],
            "epsilon": None if self.epsilon is None else nats.text(self.epsilon),
            "accuracy": self.accuracy,
            "for": self.person,
            "reason": self.reason,
        }
        return {name: value for name, value in full.items() if value or value == 0}

    def digest(self) -> str:
        """64 hex digits: SHA-256 of the canonical JSON of ``as_dict``, however the file was spelled."""
        return canonical.sha256(self.as_dict())


class _AskedLoci(TypedDict):
    regions: tuple[str, ...]
    genes: tuple[str, ...]
    alleles: tuple[str, ...]
    panel: str | None


def parse_request(data: object) -> RequestFile:
    """Parse the mapping loaded from a request file.

    Raises:
        PolicyInputError: with every problem and its place; unknown fields are problems.
    """
    found, problems = _read(data)
    if problems or found is None:
        raise PolicyInputError.from_problems(problems)
    return found


def lint(data: object) -> tuple[InputProblem, ...]:
    """Every problem of a request file, empty when ``parse_request`` would accept it."""
    return tuple(_read(data)[1])


def request_template(project: str = "demo", dataset: str = "cohort") -> str:
    """A commented request file that lints: a region, a gene, the genotypes alone.

    Raises:
        PolicyInputError: ``bad_code``, ``bad_name`` for a project or dataset that could not be used.
    """
    if not CODE.fullmatch(project):
        raise PolicyInputError("bad_code", _CODE_RULE, "project")
    if not _NAME.fullmatch(dataset):
        raise PolicyInputError("bad_name", _NAME_RULE, "dataset")
    return _TEMPLATE.replace("@PROJECT@", project).replace("@DATASET@", dataset)


def not_kept(fields: tuple[AskedField, ...], shown: tuple[ViewField, ...]) -> tuple[AskedField, ...]:
    """Fields that a project leaves out of every view; ``shown``: those of its views."""
    kept = {AskedField.GENOTYPES: True, AskedField.PHASE: ViewField.PHASE in shown, AskedField.IDS: ViewField.ID in shown}
    return tuple(field for field in fields if not kept[field])


def _read(data: object) -> tuple[RequestFile | None, list[InputProblem]]:
    problems: list[InputProblem] = []
    top = Section(data, "", problems)
    top.choice("format", (FORMAT,))
    project = _named(top, "project", CODE, "bad_code", _CODE_RULE)
    dataset = _named(top, "dataset", _NAME, "bad_name", _NAME_RULE)
    kind = RequestKind(top.choice("kind", tuple(RequestKind), default=RequestKind.RECORDS))
    if kind is RequestKind.MATCHING:
        top.note("kind_not_served", "a file cannot ask for matching: a program asks (genovault match run)", "kind")
    loci = _loci(top, kind)
    records = kind is RequestKind.RECORDS
    if not records and top.has("fields"):
        top.note("unused", f"{kind} tell nothing of single calls", "fields")
    fields = top.choices("fields", tuple(AskedField)) or ((AskedField.GENOTYPES,) if records else ())
    epsilon, accuracy = _exactness(top, kind)
    person = top.text("for", default="", longest=64)
    if person and not _PERSON.fullmatch(person):
        top.note("bad_name", "letters, digits and ._@-, as the vault calls its people", "for")
    reason = top.text("reason", longest=2_000)
    top.finish()
    if problems:
        return None, problems
    asked = RequestFile(
        project,
        dataset,
        kind,
        **loci,
        fields=tuple(map(AskedField, fields)),
        epsilon=epsilon,
        accuracy=accuracy,
        person=person,
        reason=reason,
    )
    return asked, problems


def _loci(top: Section, kind: RequestKind) -> _AskedLoci:
    """Regions, genes, alleles and panel. The whole dataset is asked for by a word, never by leaving the loci out."""
    nothing = _AskedLoci(regions=(), genes=(), alleles=(), panel=None)
    given, records = top.raw("loci"), kind is RequestKind.RECORDS
    if given == EVERYTHING and records:
        return nothing
    wanted = {RequestKind.RECORDS: "regions, genes or a panel", RequestKind.FREQUENCIES: "a panel"}.get(
        kind, "alleles or a panel"
    )
    more = f", or say {EVERYTHING} for the whole dataset" if records else ""
    if given is None or given == EVERYTHING:
        top.note("missing", f"name {wanted}{more}", "loci")
        return nothing
    section = Section(given, "loci", top.problems)
    regions, genes = (section.texts("regions"), section.texts("genes", longest=64)) if records else ((), ())
    asked = section.texts("alleles", longest=3_000) if kind in _NOISY else ()
    _require_each(top, "regions", regions, lambda text, place: read_region_text(text, end=END, place=place))
    _require_each(top, "alleles", asked, lambda text, place: alleles.parse(text, place=place))
    panel = section.text("panel", default="", longest=64)
    if panel and not _NAME.fullmatch(panel):
        section.note("bad_name", "a panel's name is letters, digits, dots, hyphens and underscores", "panel")
    section.finish()
    if asked and panel:
        section.note("contradiction", "alleles, or a panel's: not both", "panel")
    if isinstance(given, dict) and not (regions or genes or asked or panel) and not section.problems:
        top.note("empty", f"name {wanted}{more}", "loci")
    return _AskedLoci(regions=regions, genes=genes, alleles=asked, panel=panel or None)


def _require_each(top: Section, key: str, texts: tuple[str, ...], read: Callable[[str, str], object]) -> None:
    for index, text in enumerate(texts):
        try:
            read(text, f"loci.{key}[{index}]")
        except PolicyInputError as error:
            top.problems.extend(error.problems)


def _exactness(top: Section, kind: RequestKind) -> tuple[Micronats | None, int | None]:
    """ε and accuracy of noisy numbers, of which one may be said."""
    epsilon = top.millionths("epsilon", noise.LEAST, noise.MOST)
    accuracy = top.whole("accuracy", noise.accuracy95(noise.MOST), noise.accuracy95(noise.LEAST))
    said = [name for name, value in (("epsilon", epsilon), ("accuracy", accuracy)) if value is not None]
    if said and kind not in _NOISY:
        top.note("unused", "only counts and presence have noise", said[0])
    if len(said) > 1:
        top.note("contradiction", "say how exact by accuracy or by epsilon, not both", "accuracy")
    return epsilon, accuracy


def _named(section: Section, key: str, form: re.Pattern[str], code: str, rule: str) -> str:
    value = section.text(key, longest=100)
    if value and not form.fullmatch(value):
        section.note(code, rule, key)
    return value


_CODE_RULE = "a project's code is 2 to 20 lower-case letters and digits, beginning with a letter"
_NAME_RULE = "a dataset's name is letters, digits, dots, hyphens and underscores"

_TEMPLATE = """\
# A request: what an approved project asks for. Send it to the stewards; they import it and send the answer.
# Check it with: genovault request lint FILE. Lines that begin with # are choices you may want.

format: request/1
project: @PROJECT@   # the project's code
dataset: @DATASET@
# kind: records                # genotypes for each person; for counts and presence name alleles or a panel, for frequencies a panel

loci:                          # a union. For the whole dataset write loci: all
  regions: ["22:19.9M-20M"]    # CONTIG, CONTIG:POS or CONTIG:FIRST-LAST, counted from 1
  genes: [CYP2C9]              # their positions on the dataset's assembly
  # panel: pgx                 # a panel of the dataset: its loci stay, whoever carries them

# fields: [genotypes, phase]   # genotypes; phase and ids (rsIDs) where the project's disclosure keeps them
# for: rita                    # who asks, of the project's people, as the vault calls them
reason: Variants that change how lipid-lowering drugs work   # what these loci are needed for
"""
