"""Releases as JSON documents show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.output import counted

if TYPE_CHECKING:
    from vault.access.releases import Release


def size(release: Release) -> str:
    """How much left, in words."""
    return f"{counted(release.n_subjects, 'person', 'people')}, {counted(release.n_sites, 'site')}"


def described(release: Release) -> dict[str, object]:
    """A release as JSON documents show it."""
    return {
        "release": release.release_id,
        "request": release.request_id,
        "project": release.project,
        "state": release.state,
        "subjects": release.n_subjects,
        "sites": release.n_sites,
        "created": release.created,
        "output": release.content.output or None,
        "sealed_for": sorted(release.sealed_for),
        "entry": release.outcome_index,
    }
