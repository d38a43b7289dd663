"""Matching of sample names of a genotype file with subjects, by registered names or by a MAP.csv."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from vault.errors import InputError
from vault.files.csv_sheets import Column, read_sheet, text
from vault.files.names import require_name
from vault.files.sheet_problems import Problem, rejected
from vault.ids import DatasetId, SubjectId
from vault.limits import MAX_SHEET_FIELD_CHARS
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.references import registered_by, resolve_many

LONGEST = MAX_SHEET_FIELD_CHARS - len("sample:")  # characters of a sample's name in the vault

_SAYS_NOTHING = re.compile(
    r"[-._0]*|\d{1,5}|(my|the|test|unnamed|unknown|no)?[-_ ]?(sample|tumou?r|normal|patient|proband|subject|individual|case|control|name|person)"
    r"([-_ ]?(name|id|\.?bam))?|default|unknown|unnamed|unspecified|none|null|n/?a|nan|test|germline|somatic|blood|dna|genotype|gt|vcf|bam|x+",
    re.IGNORECASE,
)  # what variant callers write where nobody gave a name: DeepVariant "default", Mutect "TUMOR" and "NORMAL", samtools the BAM's name

SAMPLE = Column("sample", text, required=True, keys=lambda value: [value])
REFERENCE = Column("subject", text, required=True)


@dataclass(frozen=True)
class Matched:
    """Names of a file's samples as the vault has them, in file order; the subjects of known ones; the names to register.

    ``unnamed``: how many samples have a name that says nothing.
    """

    names: Sequence[str]
    known: Mapping[str, SubjectId]
    new: Sequence[str]
    unnamed: int = 0


def match(
    vault: UnlockedVault,
    dataset: DatasetId,
    samples: Sequence[str],
    *,
    namespace: str,
    sample_map: Path | None,
    unknown: str,
    completion: Callable[[], str],
) -> Matched:
    """Match samples with subjects; ``unknown`` ones are refused, skipped or to be registered. ``completion``: tells the files from others.

    Raises:
        InputError: ``duplicate_sample``; ``name_malformed``: the namespace's; ``sample_name_too_long``; ``samples_unknown``, ``sample_taken``, ``subject_twice``; as ``read_sheet``, ``sheet_rejected`` among it.
    """
    if namespace:
        require_name(namespace, what="namespace")
    _require_apart(samples)
    names = [f"{namespace}/{sample}" if namespace else sample for sample in samples]
    _require_short(names)
    mapped = _mapped(vault, sample_map, dict(zip(samples, names, strict=True))) if sample_map else {}
    unnamed = {name for name, sample in zip(names, samples, strict=True) if not namespace and says_nothing(sample)} - set(mapped)
    if unknown == "register":
        names = _completed(vault, names, unnamed, completion)
    known = mapped | _registered(vault, dataset, [name for name in names if name not in mapped], unnamed)
    if len(set(known.values())) != len(known):
        raise InputError(
            "subject_twice",
            "two samples belong to one subject",
            hint="a part holds one sample for each subject: import them apart",
        )
    strange = [at for at, name in enumerate(names) if name not in known]
    if strange and unknown == "refuse":
        raise InputError(
            "samples_unknown",
            f"{len(strange)} of {len(samples)} samples belong to no subject (the first is sample column {strange[0] + 1})",
            hint="name them with subject import or --samples MAP.csv, or use --unknown skip or --register",
        )
    if not known and unknown == "skip":
        raise InputError("samples_unknown", "no sample belongs to a subject", hint="--register makes subjects of them")
    return Matched(names, known, [names[at] for at in strange] if unknown == "register" else [], len(unnamed))


def says_nothing(sample: str) -> bool:
    """True of a name that programs give and people leave: it may be anybody's."""
    return bool(_SAYS_NOTHING.fullmatch(sample.strip()))


def _completed(vault: UnlockedVault, names: Sequence[str], unnamed: AbstractSet[str], completion: Callable[[], str]) -> list[str]:
    """Names, those that say nothing with the files' mark behind them, unless a sheet says whose they are. Numbers stay: they may be ids."""
    words = [name for name in names if name in unnamed and not name.isdigit()]
    told = {name for name, (_, owner) in registered_by(vault, words).items() if owner is None} if words else set()
    mark = {name: f"{name}~{completion()}" for name in words if name not in told}
    return [mark.get(name, name) for name in names]


def _require_apart(samples: Sequence[str]) -> None:
    """Refuse two names that differ only in how their marks are composed: they would be two people, and whoever is named is ambiguous."""
    if len({unicodedata.normalize("NFC", sample) for sample in samples}) != len(samples):
        raise InputError(
            "duplicate_sample", "two samples have names that look the same", hint="bcftools reheader --samples renames them"
        )


def _require_short(names: Sequence[str]) -> None:
    """Refuse a name that, with ``sample:`` in front, no sheet could hold."""
    long = next((at for at, name in enumerate(names, 1) if len(name) > LONGEST), None)
    if long is not None:
        raise InputError("sample_name_too_long", f"the name of sample column {long} is longer than {LONGEST:,} characters")


def _registered(
    vault: UnlockedVault, dataset: DatasetId, names: Sequence[str], unnamed: AbstractSet[str]
) -> dict[str, SubjectId]:
    """Look up subjects by sample name. A name that another dataset's import registered need not mean the same person.

    ``unnamed``: names that say nothing: of these only a sheet's word counts, not that an import met one before.
    """
    found = registered_by(vault, names)
    met = [at for at, name in enumerate(names, 1) if name in unnamed and found.get(name, (None, None))[1] is not None]
    if met:
        raise InputError(
            "sample_name_meaningless",
            f"{len(met)} samples have names that say nothing (such as default) and that somebody here has already (the first is number {met[0]})",
            hint="--samples MAP.csv says whose they are; --namespace NAME makes another person of them, with --register",
        )
    taken = [name for name, (_, owner) in found.items() if owner not in (None, dataset)]
    if taken:
        raise InputError(
            "sample_taken",
            f"{len(taken)} sample names were registered by another dataset and may be other people",
            hint="--namespace NAME keeps them apart; --samples MAP.csv says who is who",
        )
    return {name: subject for name, (subject, _) in found.items()}


def _mapped(vault: UnlockedVault, path: Path, names: Mapping[str, str]) -> dict[str, SubjectId]:
    """Read subjects by name from MAP.csv (columns sample, subject). ``names``: of each sample in the file, its name in the vault."""
    rows = read_sheet(path, columns=[SAMPLE, REFERENCE]).rows
    found = resolve_many(vault, [row[REFERENCE] for row in rows])
    problems = [Problem(row.line, "sample", "the file has no such sample") for row in rows if row[SAMPLE] not in names]
    problems += [Problem(row.line, "subject", "does not name one subject") for row in rows if len(found[row[REFERENCE]]) != 1]
    if problems:
        raise rejected(problems)
    return {names[row[SAMPLE]]: next(iter(found[row[REFERENCE]])) for row in rows}
