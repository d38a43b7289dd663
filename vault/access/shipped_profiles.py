"""Disclosure profiles that are shipped. A module of its own, so that a declaration is linted without a database's libraries."""

from __future__ import annotations

from functools import cache
from importlib import resources

from policies.disclosure.view_profiles import ViewProfile, parse_profile
from vault.errors import InputError


@cache
def shipped() -> dict[str, ViewProfile]:
    """Shipped profiles, by name and version."""
    folder = resources.files("policies") / "packs"
    texts = (item.read_text(encoding="utf-8") for item in folder.iterdir() if item.name.startswith("profile-"))
    return {found.reference: found for found in map(parse_profile, texts)}


def require_shipped(reference: str) -> None:
    """Refuse a version of a shipped profile that this program does not have; a site's own are looked for when a project is approved.

    Raises:
        InputError: ``profile_unknown``.
    """
    name = reference.partition("@")[0]
    versions = [one.reference for one in shipped().values() if one.name == name]
    if versions and reference not in versions:
        raise InputError(
            "profile_unknown", f"this program has no disclosure profile {reference}", hint=f"it has {', '.join(sorted(versions))}"
        )
