"""Rules of a project's views: by the disclosure profile that it declares, one that is shipped or that the site loaded."""

from __future__ import annotations

from policies.disclosure.view_profiles import REFERENCE, OptOuts, ViewField, ViewProfile, parse_profile
from policies.disclosure.view_rules import ViewRules, view_rules
from policies.purposes import ProjectDeclaration
from vault.access import reference_data
from vault.access.shipped_profiles import shipped
from vault.errors import InputError, RefusedError
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction


def find(tx: Transaction, reference: str) -> ViewProfile | None:
    """The profile of a name and version, or None. Raises IntegrityError ``pack_altered``; PolicyInputError as ``parse_profile``."""
    known = shipped().get(reference)
    if known is not None or not REFERENCE.fullmatch(reference):
        return known
    text = reference_data.document(tx, reference_data.PROFILE, reference)
    return None if text is None else parse_profile(text)


def rules(tx: Transaction, declaration: ProjectDeclaration) -> ViewRules:
    """Rules of a project's views.

    Raises:
        RefusedError: ``profile_unknown``: its profile is not there. IntegrityError as ``find``.
    """
    reference = declaration.disclosure.reference
    profile = find(tx, reference)
    if profile is None:
        hint = f"load it, or declare one of {', '.join(sorted(shipped()))}"
        raise RefusedError("profile_unknown", f"there is no disclosure profile {reference}", hint=hint)
    return view_rules(declaration.disclosure, profile)


def leaves_out(tx: Transaction, declaration: ProjectDeclaration) -> bool:
    """True if a project takes nobody who excludes places. Without its profile nothing is released, so that nobody is taken: True."""
    profile = find(tx, declaration.disclosure.reference)
    return profile is None or view_rules(declaration.disclosure, profile).opt_outs is OptOuts.LEAVE_OUT


def fields(vault: UnlockedVault, declaration: ProjectDeclaration) -> tuple[ViewField, ...]:
    """Fields of a project's views; none without its profile, as nothing is released."""
    with vault.books.read() as tx:
        profile = find(tx, declaration.disclosure.reference)
    return () if profile is None else view_rules(declaration.disclosure, profile).fields


def require(tx: Transaction, declaration: ProjectDeclaration) -> None:
    """Refuse a declaration whose profile is not there. Raises InputError ``profile_unknown``."""
    try:
        rules(tx, declaration)
    except RefusedError as error:
        raise InputError(error.code, error.message, hint=error.hint) from None
