"""Releases as JSON documents show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vault.access.releases import Release


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
