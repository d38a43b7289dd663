"""Places that a withdrawal names, looked up before it is recorded."""

from __future__ import annotations

from policies import consent
from policies.consent import ScopeKind
from policies.errors import PolicyInputError
from policies.loci import LocusRule
from vault.consent import forms
from vault.consent.known_places import known_places, unknown_place
from vault.errors import InputError
from vault.session.unlocked_vault import UnlockedVault


def of_scope(vault: UnlockedVault, scope: str) -> tuple[LocusRule, ...]:
    """The places that a withdrawal's scope ``loci:NAME`` stands for: a form's question, a category or a gene; none for other scopes.

    Raises:
        InputError: ``place_unknown`` with names that are alike; ``withdrawal_malformed``.
    """
    try:
        reach = consent.scope(scope)
    except PolicyInputError as error:
        raise InputError("withdrawal_malformed", str(error)) from None
    if reach.kind is not ScopeKind.LOCI:
        return ()
    asked = {
        policy: question.loci for form in forms.list_all(vault) for question in form.questions for policy in question.policies
    }
    if asked.get(reach.key):
        return asked[reach.key]
    found = known_places(vault)
    by_lower = {rule.name.lower(): rule for rule in sorted(found, reverse=True)}  # a category before a gene of that name
    rule = next((one for one in sorted(found) if one.name == reach.value), by_lower.get(reach.value.lower()))
    if rule is None:
        names = [name.partition(":")[2] for name in asked if name.startswith(f"{ScopeKind.LOCI}:")]
        raise unknown_place(f"{ScopeKind.LOCI}:{reach.value}", reach.value, [*names, *(one.name for one in found)])
    return (rule,)
