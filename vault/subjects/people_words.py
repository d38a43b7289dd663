"""A person in a steward's words: name, record number, samples and birth date, for whoever has to see that it is the right one."""

from __future__ import annotations

from vault.errors import GenovaultError
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.identities import Identity, open_identities

_SAMPLES = 3  # that are named; of more, how many


def words(identity: Identity) -> str:
    """Name, record number, samples and birth date, as far as they are known; "" where nothing is."""
    samples = ", ".join(identity.samples[:_SAMPLES])
    more = f" and {len(identity.samples) - _SAMPLES} more" if len(identity.samples) > _SAMPLES else ""
    parts = [
        identity.name,
        f"MRN {identity.mrn}" if identity.mrn else "",
        f"sample {samples}{more}" if samples else "",
        f"born {identity.birth_date}" if identity.birth_date else "",
    ]
    return ", ".join(part for part in parts if part)


def who(vault: UnlockedVault, subject: SubjectId) -> str:
    """``words`` of a person of whom something was just recorded; "" where the identity cannot be read. Callers logged the access."""
    try:
        return words(open_identities(vault, [subject])[subject])
    except (GenovaultError, KeyError):
        return ""
