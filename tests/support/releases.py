"""Releases as their recipients check them."""

from __future__ import annotations

from vault.extracts.verification import key_fingerprint


def pinned(vault) -> dict[str, object]:
    """The keys of an unlocked vault that a recipient has been given, as arguments of ``verify_release``."""
    return {
        "log_keys": vault.trail.log_keys(),
        "release_keys": [key_fingerprint(public) for public in vault.release_keys().values()],
    }
