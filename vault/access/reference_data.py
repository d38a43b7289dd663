"""Public reference data for decisions: disease ontology, named places on the genome, sensitive sites and their tags, ages of majority,
disclosure profiles; by version and digest.

A site loads its own; the newest of a kind counts, and of profiles each by its name and version. All but ontologies are also shipped: a site's
places and tags are added to them, its ages replace them, its profiles have other names.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

import zstandard
from sqlalchemy import select

from policies import canonical, loci
from policies.assemblies import KNOWN, known_assembly, normalise_assembly
from policies.disclosure.view_profiles import parse_profile
from policies.errors import PolicyInputError
from policies.loci import Catalogue
from policies.majority import AgesOfMajority, parse_majority
from policies.ontology import Ontology, TermGraph
from policies.tagged_sites import TaggedSites, parse_tagged_sites
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.primitives import sha256
from vault.errors import InputError, IntegrityError
from vault.files.yaml_documents import declared
from vault.session.caches import Cache
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, ReferenceDocumentRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

ONTOLOGY, LOCI, MAJORITY, PROFILE, TAGS = "ontology", "loci", "majority", "profile", "tags"
PARSED_ONTOLOGIES: Cache[dict[tuple[bytes, str], Ontology]] = Cache(dict)  # by digest and version
MAX_BYTES = 256 * 2**20  # of a pack once unpacked: MONDO's pairs are 1 MB


@dataclass(frozen=True)
class Pack:
    """One loaded document: kind, version, and SHA-256 of its text."""

    kind: str
    version: str
    sha256: str


def load(vault: UnlockedVault, kind: str, text: str, *, version: str) -> Pack:
    """Load an ontology (``child<TAB>parent`` lines), named places, tagged sites, ages of majority or a profile (JSON) for all later decisions.

    Raises:
        InputError: ``document_rejected`` with the place of every problem; ``pack_exists``: that version is held with another text.
    """
    with vault.trail.attempting(Action.CONSENT_PACK):
        with vault.books.read() as tx:
            unlisted = {normalise_assembly(name) for name in tx.scalars(select(DatasetRow.assembly))}.difference(KNOWN)
        declared(lambda: _parse(kind, text, version, unlisted), name=f"the {kind}")
        body = text.encode()
        pack = Pack(kind, version, sha256(body).hex())
        with vault.books.write() as tx:
            held = tx.get(ReferenceDocumentRow, (kind, version))
            if held is not None and held.sha256 != sha256(body):
                raise InputError("pack_exists", f"{kind} {version} is held with another text", hint="give it another version")
            if held is not None:
                tx.delete(held)
                tx.flush()
            packed = zstandard.compress(body)
            now = to_micros(vault.clock())
            tx.add(ReferenceDocumentRow(kind=kind, version=version, sha256=sha256(body), body=packed, created=now))
            tx.flush()
            detail = {"kind": kind, "version": version}
            vault.trail.append(tx, Action.CONSENT_PACK, Outcome.DONE, obj=ObjectRef(kind, pack.sha256), detail=detail)
    return pack


def unload(vault: UnlockedVault, kind: str, version: str, *, reason: str) -> Pack:
    """Take a loaded document out, where it was the wrong one: the newest of those before counts again, or what is shipped.

    Raises:
        InputError: ``pack_unknown``, ``reason_missing``, ``reason_too_long``.
    """
    with vault.trail.attempting(Action.CONSENT_PACK):
        said = require_reason(reason)
        with vault.books.write() as tx:
            held = tx.get(ReferenceDocumentRow, (kind, version))
            if held is None:
                raise InputError("pack_unknown", f"no {kind} {version:.60} is loaded", hint="genovault consent packs")
            pack = Pack(kind, version, held.sha256.hex())
            tx.delete(held)
            tx.flush()
            detail = {"kind": kind, "version": version, "taken_out": True, "reason": said}
            vault.trail.append(tx, Action.CONSENT_PACK, Outcome.DONE, obj=ObjectRef(kind, pack.sha256), detail=detail)
    return pack


def loaded(vault: UnlockedVault) -> list[Pack]:
    """Loaded documents, newest first."""
    query = select(ReferenceDocumentRow).order_by(ReferenceDocumentRow.created.desc())
    with vault.books.read() as tx:
        return [Pack(row.kind, row.version, row.sha256.hex()) for row in tx.scalars(query)]


def ontology(vault: UnlockedVault, tx: Transaction) -> Ontology | None:
    """Newest ontology, or None: then every disease decides as review."""
    row = _newest(tx, ONTOLOGY)
    if row is None:
        return None
    parsed, key = vault.caches.get(PARSED_ONTOLOGIES), (row.sha256, row.version)
    if key not in parsed:
        parsed[key] = TermGraph.parse(_text(row), version=row.version)
    return parsed[key]


def catalogue(tx: Transaction, assembly: str) -> Catalogue:
    """Named places of an assembly: those shipped, overridden by those of the newest pack that the site loaded."""
    shipped = _shipped_catalogue(assembly)
    row = _newest(tx, LOCI)
    if row is None:
        return shipped
    own = loci.parse_catalogue(_text(row), assembly=assembly)
    return Catalogue(
        f"{shipped.version} + {own.version}",
        own.assembly,
        {**shipped.genes, **own.genes},
        {**shipped.categories, **own.categories},
    )


def tagged_sites(tx: Transaction, assembly: str) -> tuple[TaggedSites, ...]:
    """Sensitive sites of an assembly and their tags: those shipped, and those of the newest pack that the site loaded."""
    row = _newest(tx, TAGS)
    own = () if row is None else parse_tagged_sites(_text(row), assembly=assembly)
    return _shipped_tags(assembly) + own


def majority(tx: Transaction) -> AgesOfMajority:
    """Ages of majority: the newest pack that the site loaded, else the one shipped."""
    row = _newest(tx, MAJORITY)
    return _shipped_majority() if row is None else parse_majority(_text(row))


@lru_cache(maxsize=16)
def _shipped_catalogue(assembly: str) -> Catalogue:
    return loci.parse_catalogue(_shipped(LOCI), assembly=assembly)


@lru_cache(maxsize=16)
def _shipped_tags(assembly: str) -> tuple[TaggedSites, ...]:
    return parse_tagged_sites(_shipped(TAGS), assembly=assembly)


@cache
def _shipped_majority() -> AgesOfMajority:
    return parse_majority(_shipped(MAJORITY))


def _shipped(kind: str) -> str:
    folder = resources.files("policies") / "packs"
    named = [item for item in folder.iterdir() if item.name.startswith(f"{kind}-")]
    return max(named, key=lambda item: item.name).read_text(encoding="utf-8")


def _newest(tx: Transaction, kind: str) -> ReferenceDocumentRow | None:
    query = select(ReferenceDocumentRow).where(ReferenceDocumentRow.kind == kind)
    return tx.scalars(query.order_by(ReferenceDocumentRow.created.desc()).limit(1)).first()


def _text(row: ReferenceDocumentRow) -> str:
    try:
        body = zstandard.ZstdDecompressor().decompress(row.body, max_output_size=MAX_BYTES)
    except zstandard.ZstdError:
        body = b""
    if sha256(body) != row.sha256:
        raise IntegrityError("pack_altered", f"the {row.kind} {row.version} was altered", hint="load it again")
    return body.decode()


def document(tx: Transaction, kind: str, version: str) -> str | None:
    """Text of a loaded document, or None. Raises IntegrityError ``pack_altered``."""
    row = tx.get(ReferenceDocumentRow, (kind, version))
    return None if row is None else _text(row)


def _parse(kind: str, text: str, version: str, unlisted: Collection[str]) -> None:
    if len(text) > MAX_BYTES:
        raise PolicyInputError("too_large", f"more than {MAX_BYTES} bytes")
    if kind == ONTOLOGY:
        TermGraph.parse(text, version=version)
    elif kind == MAJORITY:
        parse_majority(text)
    elif kind == PROFILE:
        _require_profile(text, version)
    else:
        _require_places(kind, text, unlisted)


def _require_profile(text: str, version: str) -> None:
    """Refuse a profile that cannot be read, goes by another name than ``version``, or by that of one that is shipped."""
    profile = parse_profile(text)
    if profile.reference != version:
        raise PolicyInputError("bad_name", f"it is {profile.reference}, not {version:.60}", "name")
    folder = resources.files("policies") / "packs"
    if any(item.name.startswith(f"{PROFILE}-{profile.name}-") for item in folder.iterdir()):
        raise PolicyInputError("bad_name", f"{profile.name} is the name of a profile that is shipped: choose another", "name")


def _require_places(kind: str, text: str, unlisted: Collection[str] = ()) -> None:
    """Refuse places, or tagged sites, that cannot be read, or are of an assembly that is neither known nor ``unlisted`` and a dataset's."""
    document = canonical.loads(text)
    named = document.get("assemblies") if isinstance(document, dict) else None
    for name in named if isinstance(named, dict) else ():
        if normalise_assembly(name) not in unlisted:
            known_assembly(name, place="assemblies")
    for assembly in (*KNOWN, *unlisted):
        if kind == TAGS:
            parse_tagged_sites(text, assembly=assembly)
        else:
            loci.parse_catalogue(text, assembly=assembly)
