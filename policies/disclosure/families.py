"""Families: datasets that share any person, who pay alike.

A budget that one person had spent would tell, by refusing, that they take part (Kenthapadi, Mishra and Nissim, PODS 2005). So charges
are by family, which everybody may know, and by nothing of one person.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

D = TypeVar("D", bound=Hashable)


def joined(people: Mapping[D, AbstractSet[bytes]], before: Iterable[AbstractSet[D]] = ()) -> list[frozenset[D]]:
    """Families of all datasets, by who is in each. ``before``: families that once were; they stay together whoever leaves."""
    family: dict[D, set[D]] = {dataset: {dataset} for dataset in people}

    def join(one: D, other: D) -> None:
        if family[one] is not family[other]:
            family[one] |= family[other]
            for member in family[other]:
                family[member] = family[one]

    for known in before:
        held = [dataset for dataset in known if dataset in family]
        for other in held[1:]:
            join(held[0], other)
    seen: dict[bytes, D] = {}
    for dataset, subjects in people.items():
        for subject in subjects:
            join(seen.setdefault(subject, dataset), dataset)
    return list({id(one): frozenset(one) for one in family.values()}.values())
