"""Places that packs name, by genes and categories, and forms held against them before they are stored.

A name that nothing here knows would be an exclusion that no release could keep to, so that the person would take part in none.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from sqlalchemy import select

from policies.assemblies import KNOWN, normalise_assembly
from policies.forms import Form
from policies.loci import Catalogue, LocusRule, RuleKind
from vault.access import reference_data
from vault.access.excluded_places import place_rules
from vault.errors import InputError
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow


def require_known(vault: UnlockedVault, form: Form) -> None:
    """Refuse a form whose questions exclude or allow places that nothing here knows.

    Raises:
        InputError: ``place_unknown``.
    """
    wanted: set[LocusRule] = set()
    for question in form.questions:
        answers = [question.terms, *(option.terms for option in question.options)]
        wanted.update(question.loci)
        for alternative in (one for terms in answers if terms is not None for one in terms.alternatives):
            wanted.update((*alternative.exclude, *alternative.only))
    catalogues = _catalogues(vault) if wanted else []
    for rule in sorted(wanted):
        if all(place_rules([rule], places).unresolved for places in catalogues):
            raise unknown_place(rule.text, rule.name, [one.name for one in known_places(vault) if one.kind is rule.kind])


def known_places(vault: UnlockedVault) -> set[LocusRule]:
    """Every gene and category that a pack names, of the known assemblies and of those of the datasets."""
    found: set[LocusRule] = set()
    for places in _catalogues(vault):
        found.update(LocusRule(RuleKind.GENE, name) for name in places.genes)
        found.update(LocusRule(RuleKind.CATEGORY, name) for name in places.categories)
    return found


def unknown_place(what: str, name: str, names: Iterable[str]) -> InputError:
    """The error for a place that nothing here knows, with those of ``names`` that are like it."""
    by_lower = {one.lower(): one for one in sorted(set(names))}
    close = [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]
    meant = f"did you mean {', '.join(close)}? Or load" if close else "load"
    return InputError(
        "place_unknown",
        f"{what:.80} is no place that is known here, so no release could leave it out",
        hint=f"{meant} the places with consent load, or withdraw from a whole use",
    )


def _catalogues(vault: UnlockedVault) -> list[Catalogue]:
    with vault.books.read() as tx:
        held = tx.scalars(select(DatasetRow.assembly)).all()
        return [reference_data.catalogue(tx, name) for name in sorted({*KNOWN, *map(normalise_assembly, held)})]
