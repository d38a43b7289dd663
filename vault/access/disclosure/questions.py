"""Questions for counts and presence: distinct alleles, and how exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from policies.disclosure import alleles, nats, noise
from policies.disclosure.alleles import Allele
from policies.disclosure.nats import Micronats
from policies.disclosure.noise import Price
from policies.errors import InputProblem, PolicyInputError
from policies.purposes import RequestKind
from vault.access.projects import Project
from vault.errors import InputError, RefusedError
from vault.files.yaml_documents import declared
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.panels import Panel
from vault.genotypes.contigs import find_assembly, normal_contig
from vault.limits import MAX_COUNTED_ALLELES

COUNTED = (RequestKind.COUNTS, RequestKind.PRESENCE)
"""Kinds of request that are answered with noisy numbers."""


@dataclass(frozen=True)
class CountsQuestion:
    """Distinct alleles under normal names of their contigs, asked with ``epsilon`` each. ``kind``: counts or presence."""

    kind: RequestKind
    alleles: tuple[Allele, ...]
    epsilon: Micronats

    @property
    def price(self) -> Price:
        """Price, if no answer was drawn before."""
        return Price(self.epsilon, len(self.alleles))


def accuracy(*, epsilon: str | None, within: int | None) -> Micronats:
    """The ε that is asked for, by a number of nats or of carriers; 0 where neither is said. Raises InputError ``document_rejected``: told to everybody."""
    if epsilon is None and within is None:
        return 0

    def parse() -> Micronats:
        given = None if epsilon is None else nats.parse(epsilon, place="epsilon")
        return noise.chosen(epsilon=given, accuracy=within)

    return declared(parse, name="the accuracy")


def of_project(project: Project, epsilon: Micronats) -> Micronats:
    """The ε that a project's question is asked with: its own where nothing is said (0), and never more.

    Raises:
        RefusedError: ``outside_project``: more than the declaration allows.
    """
    most = project.declaration.disclosure.epsilon
    if not epsilon:
        return noise.DEFAULT if most is None else most
    if most is not None and epsilon > most:
        message = f"project {project.code} asks with at most {nats.text(most)} nats for each allele or criterion"
        raise RefusedError("outside_project", message, hint="ask for less accuracy, or amend the project's disclosure")
    return epsilon


def read_alleles(texts: Sequence[str]) -> tuple[Allele, ...]:
    """Distinct alleles in the order in which they are asked for.

    Raises:
        InputError: ``document_rejected``: one is none; ``too_many_alleles``. Both are told to everybody.
    """

    def parse() -> list[Allele]:
        problems: list[InputProblem] = []
        found: list[Allele] = []
        for at, text in enumerate(texts):
            try:
                found.append(alleles.parse(text, place=f"alleles[{at}]"))
            except PolicyInputError as error:
                problems.extend(error.problems)
        if problems:
            raise PolicyInputError.from_problems(problems)
        return found

    return _distinct(declared(parse, name="the alleles"))


def of_panel(panel: Panel) -> tuple[Allele, ...]:
    """The alleles of a panel whose loci are all exact.

    Raises:
        InputError: ``panel_not_exact``: a locus names no ALT, or a symbolic one; ``too_many_alleles``.
    """
    texts = [f"{locus.place.contig}:{locus.place.positions[0]}:{locus.ref}:{alt}" for locus in panel.loci for alt in locus.alts]
    if any(not locus.ref or not locus.alts for locus in panel.loci):
        hint = "counts are of alleles: give each locus with REF and ALT"
        raise InputError("panel_not_exact", f"panel {panel.name} has loci that name no allele", hint=hint)
    return read_alleles(texts)


def of_table(dataset: Dataset, panel: Panel) -> tuple[Allele, ...]:
    """Distinct alleles that a table of a panel is asked about. Raises InputError as ``of_panel`` and ``require_own``."""
    asked = of_panel(panel)
    require_own(asked, dataset)
    return in_normal_names(asked)


def require_one_source(asked: Sequence[Allele], panel: str | None) -> None:
    """Refuse a question without alleles, or with a panel beside them. Raises InputError ``alleles_missing``."""
    if bool(asked) == (panel is not None):
        raise InputError("alleles_missing", "counts are of alleles, or of a panel's", hint="name alleles, or one panel")


def of_scope(
    dataset: Dataset, panel: Panel | None, asked: Sequence[Allele], *, kind: RequestKind, epsilon: Micronats
) -> CountsQuestion:
    """The question as the dataset is asked: of the alleles, or of a panel's. Raises InputError as ``of_panel`` and ``require_own``."""
    wanted = asked if panel is None else of_panel(panel)
    require_own(wanted, dataset)
    return CountsQuestion(kind, in_normal_names(wanted), epsilon)


def require_own(asked: Iterable[Allele], dataset: Dataset) -> None:
    """Refuse contigs named by an accession of another assembly. Raises InputError ``assembly_mismatch``."""
    find_assembly(dataset.assembly).require_own({allele.contig for allele in asked}, name="the alleles")


def in_normal_names(asked: Iterable[Allele]) -> tuple[Allele, ...]:
    """The alleles under the names of contigs that compare, each once."""
    return tuple(dict.fromkeys(replace(allele, contig=normal_contig(allele.contig)) for allele in asked))


def _distinct(found: Iterable[Allele]) -> tuple[Allele, ...]:
    distinct = tuple(dict.fromkeys(found))
    if len(distinct) > MAX_COUNTED_ALLELES:
        raise InputError(
            "too_many_alleles", f"at most {MAX_COUNTED_ALLELES:,} alleles in one question", hint="ask again for others"
        )
    return distinct
