"""Names of people in releases: the key under which a project's pseudonyms are made, or that of one release where the project says so.

A name is of one version of the project's key. Which one a release has is in its record, because renewing the key gives new names from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from policies.purposes import PseudonymScope
from vault.access.projects import Project
from vault.crypto.context import encode_context
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import hmac_sha256, sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError
from vault.ids import DatasetId, Pseudonym, SubjectId
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.pseudonyms import pseudonyms

FIRST_VERSION = 1  # of a project's key, and the only one of a release's


class Naming(NamedTuple):
    """Key of the names in a release, and what is hashed and written beside them."""

    key: Secret
    domain: str
    prefix: str


class StreamColumns(NamedTuple):
    """People of a stream and their names, in the order of its columns."""

    people: tuple[SubjectId, ...]
    names: tuple[Pseudonym, ...]


_COLUMNS: Cache[dict[tuple[bytes, bytes], tuple[object, StreamColumns]]] = Cache(dict)
_MOST_KEPT = 16


def newest_version(vault: UnlockedVault, project: Project) -> int:
    """Version of the key that names people in a release made now. Needs no branch."""
    if project.declaration.pseudonyms is PseudonymScope.RELEASE:
        return FIRST_VERSION
    return vault.keys.newest_version(KeyPurpose.PROJECT, project.project_id)


def begin(vault: UnlockedVault, project: Project, release_id: str) -> Naming:
    """Naming of a release that is being made; one with names of its own gets its key.

    Raises IntegrityError ``key_missing``.
    """
    if project.declaration.pseudonyms is PseudonymScope.RELEASE:
        vault.keys.create(KeyPurpose.RELEASE, [_owner(release_id)])
    return naming(vault, project, release_id)


def forget(vault: UnlockedVault, release_id: str) -> None:
    """Destroy the key of a release's own names, if it has one: nothing left under them. Raises as ``WrappedKeys.destroy``."""
    if vault.keys.newest_version(KeyPurpose.RELEASE, _owner(release_id)):
        vault.keys.destroy([KeyPurpose.RELEASE], [_owner(release_id)])


def naming(vault: UnlockedVault, project: Project, release_id: str, *, version: int | None = None) -> Naming:
    """Naming of a release, under the newest (or the named) version of the project's key.

    Raises:
        IntegrityError: ``key_missing``: it was destroyed, and nobody can make these names again.
    """
    if project.declaration.pseudonyms is PseudonymScope.RELEASE:
        key = vault.keys.open(KeyPurpose.RELEASE, _owner(release_id))
    else:
        key = vault.keys.open(KeyPurpose.PROJECT, project.project_id, version=version)
    return Naming(key.secret, domain_of(project, release_id), project.code)


def names(vault: UnlockedVault, under: Naming, subjects: Sequence[SubjectId]) -> list[Pseudonym]:
    """The people's names, in their order.

    Raises:
        IntegrityError: ``key_missing``: somebody's salt is gone.
    """
    salts = vault.keys.open_many(KeyPurpose.PSEUDONYM_SALT, subjects)
    if len(salts) != len(set(subjects)):
        raise IntegrityError("key_missing", "a pseudonym-salt key is not in the key database", hint="run genovault doctor")
    return pseudonyms(under.key.reveal(), domain=under.domain, prefix=under.prefix, subjects=subjects, salts=salts)


def stream_columns(vault: UnlockedVault, project: Project, dataset_id: DatasetId, subjects: Sequence[SubjectId]) -> StreamColumns:
    """People and their names in the order of columns of the project's streams of a dataset: the same in each, as names are. Raises as ``names``.

    Those of the last set of people of each project and dataset are kept for the session.
    """
    place, basis = (project.project_id, dataset_id), (newest_version(vault, project), tuple(subjects))
    kept: dict[tuple[bytes, bytes], tuple[object, StreamColumns]] = vault.caches.get(_COLUMNS)
    held = kept.get(place)
    if held is not None and held[0] == basis:
        return held[1]
    under = naming(vault, project, "")
    key = hmac_sha256(under.key.reveal(), encode_context("genovault/stream-columns/v1", dataset_id))
    named = names(vault, under, subjects)
    order = sorted(range(len(named)), key=[hmac_sha256(key, name.encode()) for name in named].__getitem__)
    made = StreamColumns(tuple(subjects[at] for at in order), tuple(named[at] for at in order))
    vault.caches.put(_COLUMNS, {**dict(list(kept.items())[-_MOST_KEPT:]), place: (basis, made)})
    return made


def names_told(
    vault: UnlockedVault, project: Project, release_id: str, subjects: Sequence[SubjectId], *, version: int
) -> list[str]:
    """The people's names in a release that was made, in their order; empty for those whom nobody can name any more."""
    salts = vault.keys.open_many(KeyPurpose.PSEUDONYM_SALT, subjects)
    held = [subject for subject in subjects if subject in salts]
    try:
        under = naming(vault, project, release_id, version=version or FIRST_VERSION)
    except IntegrityError as error:
        if error.code != "key_missing":
            raise
        return [""] * len(subjects)
    made = pseudonyms(under.key.reveal(), domain=under.domain, prefix=under.prefix, subjects=held, salts=salts) if held else []
    known = dict(zip(held, made, strict=True))
    return [known.get(subject, "") for subject in subjects]


def domain_of(project: Project, release_id: str) -> str:
    """Domain in which names of a release stand for one person each."""
    own = project.declaration.pseudonyms is PseudonymScope.RELEASE
    return f"release:{release_id}" if own else f"project:{project.code}"


def _owner(release_id: str) -> bytes:
    return sha256(release_id.encode())[:16]
