"""Identities of subjects, sealed under the subject's own identity key (``docs/formats/books.md`` §2)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from vault.crypto.envelope import Binding, PersonalPlace, open_blob, open_blobs, seal_blob, seal_blobs
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.secret import Secret
from vault.ids import ID_BYTES, SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import FreshKeys, OpenKey
from vault.subjects import people_digests

IDENTITY_FORMAT = "genovault/identity/1"

_quoted = json.encoder.encode_basestring  # text as JSON, not escaped to ASCII


class Identity(NamedTuple):
    """Identifying data of a person. Every field but ``samples`` may be empty. No repr: it would print an identity.

    ``also``: references of other kinds that lead here since registrations were merged, as people write them (``mrn:…``, ``id:…``).
    """

    samples: tuple[str, ...]
    mrn: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    country: str = ""
    diagnoses: tuple[str, ...] = ()
    pedigree: str = ""
    also: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    """Values that were replaced: day, principal, field, value, reason (``vault.subjects.corrected_identity``)."""

    def __repr__(self) -> str:
        return "Identity(…)"


def named_by(identity: Identity) -> list[tuple[str, str]]:
    """(kind, value) of every reference that the identity names; the person's own handle is none of them."""
    own = [("sample", name) for name in identity.samples] + ([("mrn", identity.mrn)] if identity.mrn else [])
    pairs = (reference.partition(":") for reference in identity.also)
    return [*own, *((kind, value) for kind, _, value in pairs)]


def open_identities(vault: UnlockedVault, subjects: Iterable[SubjectId]) -> dict[SubjectId, Identity]:
    """Open identities of the subjects. Callers log the access. Raises IntegrityError as ``people_digests.rows_of``."""
    wanted = list(set(subjects))
    keys = vault.keys.open_keys(KeyPurpose.IDENTITY, wanted)
    with vault.books.read() as tx:
        rows = people_digests.rows_of(tx, wanted)
    alike: dict[tuple[int, int], list[tuple[bytes, bytes]]] = {}  # (version, key version) -> (subject, sealed)
    for subject, version, sealed in rows:
        alike.setdefault((version, keys[subject].version), []).append((subject, sealed))
    found: dict[SubjectId, Identity] = {}
    for (version, key_version), several in alike.items():
        subjects, blobs = zip(*several, strict=True)
        places = [PersonalPlace(s, s, keys[s].key_id, keys[s].secret) for s in subjects]
        shared = _binding(vault, b"", version, bytes(ID_BYTES), key_version)
        found.update(zip(map(SubjectId, subjects), map(_parsed, open_blobs(shared, places, blobs)), strict=True))
    return found


def open_identity(vault: UnlockedVault, subject: SubjectId, version: int, sealed: bytes, key: OpenKey) -> Identity:
    """Open one identity. Raises as ``open_blob``."""
    return _parsed(open_blob(key.secret, _binding(vault, subject, version, key.key_id, key.version), sealed))


def seal_identity(vault: UnlockedVault, subject: SubjectId, identity: Identity, version: int, key: OpenKey) -> bytes:
    """Seal a version of a known subject's identity."""
    binding = _binding(vault, subject, version, key.key_id, key.version)
    return seal_blob(key.secret, binding, _text(identity), random=vault.random)


def seal_first(vault: UnlockedVault, keys: FreshKeys, identities: Iterable[Identity]) -> list[bytes]:
    """Seal the first versions of new subjects' identities, in the order of the keys' owners."""
    shared = _binding(vault, b"", 1, bytes(ID_BYTES), keys.version)
    places = [
        PersonalPlace(s, s, key_id, Secret(key)) for s, key_id, key in zip(keys.owners, keys.key_ids, keys.keys, strict=True)
    ]
    return seal_blobs(shared, places, map(_text, identities), random=vault.random)


def _binding(vault: UnlockedVault, subject: bytes, version: int, key_id: bytes, key_version: int) -> Binding:
    return Binding(
        vault_id=vault.vault_id,
        collection="identity",
        record_id=subject,
        subject_id=subject,
        record_version=version,
        key_id=key_id,
        key_version=key_version,
        content_type=IDENTITY_FORMAT,
    )


def _parsed(text: bytes) -> Identity:
    fields: Mapping[str, object] = json.loads(text)
    return Identity(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})  # type: ignore[arg-type]


def _text(identity: Identity) -> bytes:
    """JSON with sorted keys, spelled out: a person of a cohort has hardly more than a sample name."""
    also = f'"also":{_list(identity.also)},' if identity.also else ""
    former = f'"former":{_list(identity.former)},' if identity.former else ""
    return (
        f'{{{also}"birth_date":{_quoted(identity.birth_date)},"country":{_quoted(identity.country)},"diagnoses":{_list(identity.diagnoses)},{former}'
        f'"mrn":{_quoted(identity.mrn)},"name":{_quoted(identity.name)},"pedigree":{_quoted(identity.pedigree)},'
        f'"samples":{_list(identity.samples)},"sex":{_quoted(identity.sex)}}}'
    ).encode()


def _list(items: Sequence[str]) -> str:
    return f"[{','.join(map(_quoted, items))}]"
