"""Proofs that a backup is not older than what was erased since: an anchor, the newest keys, or the keys' own entries."""

from __future__ import annotations

from vault.audit.anchors import Anchor
from vault.audit.log_head import read_head
from vault.audit.merkle import leaf_hash
from vault.audit.note import checkpoint_in
from vault.errors import IntegrityError
from vault.operations import log_anchors
from vault.operations.backup_folder import Tail
from vault.session.unlocked_vault import UnlockedVault

PROOFS = (
    "restore into the vault's folder beside its newest keys, or give --anchor DIR; where all of them are lost: --accept-gap --reason TEXT "
    "with a second steward"
)
NEWER_KEYS = "restore the newest keys; where they are lost: --accept-gap --reason TEXT with a second steward gives up what came since the keys were copied"
_GO_ON = "take a newer backup; if there is none, --new-log goes on under a new log beside the newest keys"
_AS_BACKED_UP = (
    "what is missing may be an erasure: take newer backups; a drill is tried against a copy of the anchor made with them; "
    "where there are none: --accept-gap --reason TEXT with a second steward"
)


def accounted_for(vault: UnlockedVault, tail: Tail | None) -> bool:
    """True if all that the anchors have seen beyond this log are the entries of the backup of the keys itself."""
    if tail is None or tail.size != vault.trail.log.parts()[-1].size:
        return False
    with vault.books.read() as tx:
        tree = read_head(tx).tree
    roots = {}
    for leaf in tail.leaves:
        tree = tree.extend([leaf_hash(leaf)])
        roots[tree.size] = tree.root()
    notes = [anchor.newest(vault.trail.origin) for anchor in vault.trail.anchors]
    ended = any(anchor.continued(vault.trail.origin) for anchor in vault.trail.anchors)
    seen = [checkpoint_in(note) for note in notes if note is not None]
    return bool(seen) and not ended and all(roots.get(one.size, vault.trail.log.root_at(one.size)) == one.root for one in seen)


def newest_seen(vault: UnlockedVault) -> int:
    """Size of the longest log that an anchor has seen; 0 without any."""
    notes = [anchor.newest(vault.trail.origin) for anchor in vault.trail.anchors]
    return max((checkpoint_in(note).size for note in notes if note is not None), default=0)


def behind(vault: UnlockedVault, *, live: bool, allowed: bool) -> bool:
    """True if an anchor has seen more of the log than the backup holds. Raises as ``log_anchors.guard`` unless ``allowed``."""
    try:
        log_anchors.guard(vault)
    except IntegrityError as error:
        if error.code != "log_behind_anchor":
            raise
        if not allowed:
            raise IntegrityError(error.code, error.message, hint=_GO_ON if live else _AS_BACKED_UP) from error
        return True
    return False


def has_seen(anchor: Anchor, vault: UnlockedVault) -> bool:
    """True if an anchor has any checkpoint of the vault's log."""
    return anchor.newest(vault.trail.origin) is not None
