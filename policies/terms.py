"""Consent terms in DUO codes: alternatives (OR) of one permission with modifiers, each with its own scope and obligations.

Scope and obligations belong to their alternative and are never combined across alternatives (docs/design/consent.md §9.3). Terms
have one canonical JSON text; few distinct terms exist whatever the number of subjects, so a ledger stores each once.

Terms are written as an expression: ``HMB + NPU``, ``DS(MONDO:0004992) + GS(DE,FR) | GRU + NMDS``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from policies import canonical, duo
from policies.errors import InputProblem, PolicyInputError
from policies.loci import LocusRule, read_rule
from policies.strict_mapping import Section

MAX_ALTERNATIVES = 50  # alternatives of one consent
GENOTYPES = "genotypes"
DATA_CLASSES = (GENOTYPES, "phenotypes", "identity", "samples")

_PART = re.compile(
    r"(?P<code>[A-Za-z0-9:_/.-]+)\s*(?:\((?P<params>[^()]*)\))?"
)  # of a part without blanks around it: one way to match


@dataclass(frozen=True, order=True)
class Modifier:
    """One modifier with its parameters; ``code`` is the short code, or the original text of an unknown code."""

    code: str
    params: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alternative:
    """One permission with its modifiers, scope and obligations.

    ``data_classes`` empty means genotypes only. ``only`` empty means every locus; ``exclude`` lists loci that must not be released.
    ``obligations`` are local obligations by name, for example ``watermark``.
    """

    permission: str
    diseases: tuple[str, ...] = ()
    modifiers: tuple[Modifier, ...] = ()
    data_classes: tuple[str, ...] = ()
    only: tuple[LocusRule, ...] = ()
    exclude: tuple[LocusRule, ...] = ()
    obligations: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Mapping for JSON and YAML, which ``read_alternative`` reads; empty fields are left out."""
        full: dict[str, object] = {
            "permission": self.permission,
            "diseases": list(self.diseases),
            "modifiers": [
                {"code": item.code, "params": list(item.params)} if item.params else item.code for item in self.modifiers
            ],
            "data_classes": list(self.data_classes),
            "only": [item.as_dict() for item in self.only],
            "exclude": [item.as_dict() for item in self.exclude],
            "obligations": list(self.obligations),
        }
        return {key: value for key, value in full.items() if value}


@dataclass(frozen=True)
class Terms:
    """Alternatives of one signed answer, sorted, without repeats. Build with ``Terms.from_alternatives``."""

    alternatives: tuple[Alternative, ...]

    @classmethod
    def from_alternatives(cls, *alternatives: Alternative) -> Terms:
        """Terms in canonical order: equality and hash do not depend on the order of the arguments."""
        return cls(tuple(sorted({_ordered(item) for item in alternatives}, key=lambda item: canonical.dumps(item.as_dict()))))

    def text(self) -> str:
        """Canonical JSON, which ``parse`` reads."""
        return canonical.dumps([item.as_dict() for item in self.alternatives])

    def digest(self) -> str:
        """64 hex digits: SHA-256 of ``text``."""
        return canonical.sha256([item.as_dict() for item in self.alternatives])


def parse(text: str) -> Terms:
    """Parse stored terms. An unknown code is kept, so that it decides as REVIEW.

    Raises:
        PolicyInputError: ``not_a_list``, or every problem with its place.
    """
    value = canonical.loads(text)
    problems: list[InputProblem] = []
    if not isinstance(value, list):
        raise PolicyInputError("not_a_list", "terms are a list of alternatives")
    found = [read_alternative(Section(item, f"[{index}]", problems), stored=True) for index, item in enumerate(value)]
    if problems:
        raise PolicyInputError.from_problems(problems)
    return Terms.from_alternatives(*found)


def parse_expression(text: str, *, place: str = "") -> Terms:
    """Parse an expression: codes joined by ``+``, parameters in brackets, alternatives joined by ``|``.

    Raises:
        PolicyInputError: ``bad_expression``, ``unknown_code``, ``too_many``, ``repeated``; as ``check_parameters``.
    """
    alternatives = [_alternative(part, place) for part in text.split("|")]
    if len(alternatives) > MAX_ALTERNATIVES:
        raise PolicyInputError("too_many", f"at most {MAX_ALTERNATIVES} alternatives", place)
    return Terms.from_alternatives(*alternatives)


def read_alternative(section: Section, *, stored: bool = False) -> Alternative:
    """Read an alternative from a mapping; every problem is noted with its place.

    Hand-written input must use known codes with well-formed parameters; ``stored`` text from the ledger is taken as it was signed.
    """
    permission = section.text("permission", longest=60)
    diseases = section.texts("diseases")
    modifiers = [_read_modifier(place, item, section) for place, item in section.items("modifiers")]
    data_classes = section.choices("data_classes", DATA_CLASSES)
    only, exclude = ([read_rule(item) for item in section.sections(key)] for key in ("only", "exclude"))
    obligations = section.texts("obligations")
    section.finish()
    if not stored:
        permission, diseases = _checked_permission(permission, diseases, section)
        modifiers = [_checked_modifier(item, section, f"modifiers[{index}]") for index, item in enumerate(modifiers)]
        _note_repeats(modifiers, section)
    return _ordered(
        Alternative(
            permission=permission,
            diseases=diseases,
            modifiers=tuple(modifiers),
            data_classes=data_classes,
            only=tuple(rule for rule in only if rule),
            exclude=tuple(rule for rule in exclude if rule),
            obligations=obligations,
        )
    )


def check_parameters(term: duo.Term, params: tuple[str, ...], *, place: str = "") -> tuple[str, ...]:
    """Normalise the parameters of a code and check them against its shape.

    Raises:
        PolicyInputError: ``parameter_missing``, ``parameter_not_taken``, ``bad_parameter``, ``bad_disease``, ``bad_date``.
    """
    if not params:
        if term.shape in {duo.Shape.NOTHING, duo.Shape.WHO}:
            return ()
        raise PolicyInputError("parameter_missing", f"{term.code} needs {_WANTED[term.shape]}", place)
    if term.shape is duo.Shape.NOTHING:
        raise PolicyInputError("parameter_not_taken", f"{term.code} takes no parameter", place)
    if term.shape in {duo.Shape.DAY, duo.Shape.LIMIT} and len(params) > 1:
        raise PolicyInputError("bad_parameter", f"{term.code} takes one value", place)
    return tuple(sorted({_parameter(term, item.strip(), place) for item in params}))


_WANTED = {
    duo.Shape.DISEASES: "the diseases, for example MONDO:0004992",
    duo.Shape.STUDY: "the kind of study: a DUO investigation term or text",
    duo.Shape.COUNTRIES: "the countries, for example DE",
    duo.Shape.DAY: "a day, for example 2027-01-31",
    duo.Shape.LIMIT: "a number of months or a day, for example 24 or 2027-01-31",
    duo.Shape.NAMES: "the names",
}


def _parameter(term: duo.Term, value: str, place: str) -> str:
    if not value:
        raise PolicyInputError("bad_parameter", f"{term.code} has an empty parameter", place)
    if term.shape is duo.Shape.DISEASES:
        return duo.disease(value, place=place)
    if term.shape is duo.Shape.STUDY:
        return duo.investigation(value) or value
    if term.shape is duo.Shape.COUNTRIES:
        return country(value, place=place)
    if term.shape is duo.Shape.LIMIT and value.isascii() and value.isdigit():
        if not 1 <= int(value[:9]) <= MAX_MONTHS or len(value) > len(str(MAX_MONTHS)):
            raise PolicyInputError("bad_parameter", f"{term.code}: months run from 1 to {MAX_MONTHS}", place)
        return str(int(value))
    if term.shape in {duo.Shape.DAY, duo.Shape.LIMIT}:
        return canonical.parse_day(value, place=place).isoformat()
    return value


MAX_MONTHS = 1200  # a century


def country(text: str, *, place: str = "") -> str:
    """An ISO 3166-1 alpha-2 code in capitals.

    Raises:
        PolicyInputError: ``bad_country``.
    """
    code = text.strip().upper()
    if not re.fullmatch(r"[A-Z]{2}", code):
        raise PolicyInputError(
            "bad_country", "a country is two letters of ISO 3166-1, for example DE; in YAML write 'NO' in quotes", place
        )
    return code


def _ordered(item: Alternative) -> Alternative:
    modifiers = tuple(sorted({Modifier(mod.code, tuple(sorted(set(mod.params)))) for mod in item.modifiers}))
    return Alternative(
        permission=item.permission,
        diseases=tuple(sorted(set(item.diseases))),
        modifiers=modifiers,
        data_classes=tuple(sorted(set(item.data_classes))),
        only=tuple(sorted(set(item.only))),
        exclude=tuple(sorted(set(item.exclude))),
        obligations=tuple(sorted(set(item.obligations))),
    )


def _read_modifier(place: str, value: object, section: Section) -> Modifier:
    if isinstance(value, str):
        return Modifier(value.strip())
    one = Section(value, f"{section.place}.{place}" if section.place else place, section.problems)
    found = Modifier(one.text("code", longest=60), one.texts("params"))
    one.finish()
    return found


def _checked_permission(permission: str, diseases: tuple[str, ...], section: Section) -> tuple[str, tuple[str, ...]]:
    if not permission:
        return "", ()
    try:
        term = duo.term(permission, place=f"{section.place}.permission")
        if term.kind is not duo.TermKind.PERMISSION:
            section.note("not_a_permission", f"{term.code} is a modifier", "permission")
        return term.code, check_parameters(term, diseases, place=f"{section.place}.diseases")
    except PolicyInputError as error:
        section.problems.extend(error.problems)
        return permission, diseases


def _checked_modifier(item: Modifier, section: Section, key: str) -> Modifier:
    place = f"{section.place}.{key}"
    try:
        term = duo.term(item.code, place=place)
        if term.kind is not duo.TermKind.MODIFIER:
            section.note("not_a_modifier", f"{term.code} is a permission", key)
        return Modifier(term.code, check_parameters(term, item.params, place=place))
    except PolicyInputError as error:
        section.problems.extend(error.problems)
        return item


def _note_repeats(modifiers: list[Modifier], section: Section) -> None:
    codes = [item.code for item in modifiers]
    for index, code in enumerate(codes):
        if code in codes[:index]:
            section.note("repeated", f"{code} is given twice", f"modifiers[{index}]")


def _alternative(text: str, place: str) -> Alternative:
    permission: tuple[str, tuple[str, ...]] | None = None
    modifiers: list[Modifier] = []
    for part in text.split("+"):
        found = _PART.fullmatch(part.strip())
        if not found:
            raise PolicyInputError("bad_expression", "write codes joined by +, parameters in brackets: HMB + GS(DE,FR)", place)
        term = duo.term(found["code"], place=place)
        given = found["params"]
        params = check_parameters(term, tuple(given.split(",")) if given is not None and given.strip() else (), place=place)
        if term.kind is duo.TermKind.PERMISSION:
            if permission is not None:
                raise PolicyInputError(
                    "bad_expression", "one permission in each alternative; separate alternatives with |", place
                )
            permission = (term.code, params)
        elif term.code in {item.code for item in modifiers}:
            raise PolicyInputError("repeated", f"{term.code} is given twice", place)
        else:
            modifiers.append(Modifier(term.code, params))
    if permission is None:
        raise PolicyInputError("bad_expression", "a permission is needed: NRES, GRU, HMB, DS or POA", place)
    return Alternative(permission[0], diseases=permission[1], modifiers=tuple(modifiers))
