"""The signed manifest of a release: what is in the folder, for whom, from what, under which obligations.

Crypt4GH authenticates each segment alone and BGZF has a CRC per member, so neither notices a missing tail or a swapped file; every
extract travels with this document::

    {"manifest": {…}, "signature": {"ed25519": base64, "key": vkey}}

It is canonical JSON (RFC 8785 without floats) and a newline. The Ed25519 signature is over ``CONTEXT`` and the canonical bytes of the inner object.
The key's name is the log's origin with "/release": the release key is not the log's. The format is in docs/formats/extract.md. Format 2 is
written; format 1, which knew no sealed files, is read.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from vault.audit import canonical
from vault.audit.note import ED25519, Signer, VerifierKey
from vault.crypto.primitives import verify_signature
from vault.errors import InputError, IntegrityError, UsageError
from vault.files.given_files import open_regular

Format = Literal["genovault/manifest/1", "genovault/manifest/2"]
FORMER: Format = "genovault/manifest/1"
FORMAT: Format = "genovault/manifest/2"
CONTEXT = b"genovault/manifest/v1\n"
LABEL: Literal["pseudonymised personal data"] = "pseudonymised personal data"
MANIFEST_NAME = "manifest.json"
README_NAME = "README.txt"
LIMITS_NAME = "LIMITS.txt"
MAX_MANIFEST_BYTES = 16 * 2**20  # 100,000 regions of a request are 3 MB
FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"  # one plain component, nothing that a shell or file system reads otherwise


def _is_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("text holds a control character")
    return text


Text = Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(_is_printable)]

Time = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Content(_Frozen):
    """Content of a sealed file, as its recipients read it."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class FileEntry(_Frozen):
    """One file of the folder. ``format`` names it with its version, as in "vcf/4.3+bgzf"; ``plain`` is what a sealed file holds."""

    name: Annotated[str, Field(pattern=f"^{FILE_NAME}$")]
    format: Text
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256
    plain: Content | None = None


class SealedFor(_Frozen):
    """A recipient whom the sealed files are for. ``fingerprint``: SHA-256 in hex of the 32-byte key."""

    name: Text
    fingerprint: Sha256


class Sealing(_Frozen):
    """Sealing of sealed files: the vault's public key as their writer (hex), and whom they are for."""

    writer: Sha256
    recipients: Annotated[tuple[SealedFor, ...], Field(min_length=1)]


class Obligation(_Frozen):
    """A duty of the recipient: its code and what it says in plain words."""

    code: Text
    text: Text


NO_REIDENTIFICATION = Obligation(code="NRI", text="Do not try to find out who any of these people is.")
NO_RELINKING = Obligation(code="NRL", text="Do not link these records to the same people in any other data set.")


class Loci(_Frozen):
    """The requested loci: regions as written in the request, a panel with its version, or both as a union.

    ``regions`` holds the positions of ``genes`` too.
    """

    regions: tuple[Text, ...] = ()
    genes: tuple[Text, ...] = ()
    panel: Text | None = None
    panel_version: Text | None = None

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not (self.regions or self.panel) or (self.panel is None) != (self.panel_version is None):
            raise ValueError("regions, or a panel and its version, or both")
        return self


class Counts(_Frozen):
    """Numbers of released subjects and sites, and of loci that were not assayed."""

    subjects: Annotated[int, Field(ge=1)]
    sites: Annotated[int, Field(ge=0)]
    not_assayed: Annotated[int, Field(ge=0)] = 0


class StatedRules(_Frozen):
    """Rules that a view was made by: its profile's name and version, SHA-256 of the profile's text, and the fewest people who carry an ALT."""

    profile: Text
    sha256: Sha256
    min_carriers: Annotated[int, Field(ge=1)]


class Manifest(_Frozen):
    """The inner object. Times are UTC; ``expires`` None means that no day is set.

    ``losses`` counts what the files' format cannot hold, by name; ``profile`` is the SHA-256 of the project's disclosure profile;
    ``crypt4gh`` is None where no file is sealed; ``replaces``, the release that is made anew, and ``view`` are left out of the document where
    there is none.
    """

    format: Format = FORMAT
    label: Literal["pseudonymised personal data"] = LABEL
    release: Text
    log: Text  # origin of the audit log that holds the release's entries
    project: Text
    request: Text
    purpose: Text
    recipients: tuple[Text, ...]
    dataset: Text
    assembly: Text
    kind: Literal["region", "panel"]
    loci: Loci
    counts: Counts
    obligations: tuple[Obligation, ...]
    policies: tuple[Text, ...]  # ids of the rule set and policy packs that decided
    created: Time
    expires: Time | None = None
    profile: Sha256 | None = None
    losses: dict[Text, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    crypt4gh: Sealing | None = None
    replaces: Text | None = None
    view: StatedRules | None = None
    files: tuple[FileEntry, ...]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        names = [entry.name for entry in self.files]
        if len(set(names)) != len(names) or {MANIFEST_NAME, f"{MANIFEST_NAME}.tlog-proof"} & set(names):
            raise ValueError("a file is named twice, or names the manifest itself")
        if not {NO_REIDENTIFICATION.code, NO_RELINKING.code} <= {duty.code for duty in self.obligations}:
            raise ValueError("every release carries NRI and NRL")
        if (self.kind == "panel") != (self.loci.panel is not None):
            raise ValueError("kind and loci disagree")
        if self.crypt4gh is None and any(entry.plain for entry in self.files):
            raise ValueError("sealed files are for somebody")
        return self


def make_manifest(**fields: Any) -> Manifest:
    """A manifest from its fields.

    Raises:
        UsageError: ``manifest_fields`` where they do not make one.
    """
    try:
        return Manifest(**fields)
    except ValidationError as error:
        raise UsageError("manifest_fields", f"a manifest cannot be made: {_where(error)}") from None


def sign_manifest(manifest: Manifest, signing_key: Signer) -> bytes:
    """The bytes of ``manifest.json``."""
    inner = _inner(manifest)
    signature = signing_key.sign(CONTEXT + canonical.encode(inner))
    key = VerifierKey(f"{manifest.log}/release", ED25519, signing_key.public)
    envelope = {"manifest": inner, "signature": {"ed25519": base64.b64encode(signature).decode(), "key": key.to_text()}}
    return canonical.encode(envelope) + b"\n"


def verify_manifest(data: bytes, public_key: bytes) -> Manifest:
    """The manifest, once its signature by the 32-byte ``public_key`` holds.

    Raises:
        IntegrityError: ``manifest_malformed``, ``manifest_key`` (signed by another key), ``manifest_signature``.
    """
    inner, key, signature = _opened(data)
    if key.public != public_key:
        raise IntegrityError("manifest_key", "the manifest is signed by another key than the one given")
    try:
        verify_signature(public_key, signature, CONTEXT + canonical.encode(inner))
    except IntegrityError:
        raise IntegrityError("manifest_signature", "the manifest's signature does not hold") from None
    try:
        manifest = Manifest.model_validate_json(canonical.encode(inner))
    except ValidationError as error:
        raise _malformed(_where(error)) from None
    if _inner(manifest) != inner or key.name != f"{manifest.log}/release":
        raise _malformed("a value is not in its one spelling")
    return manifest


def signer_of(data: bytes) -> VerifierKey:
    """The key that a manifest says it is signed with. Trust it only after comparing it with one had from the vault's stewards.

    Raises:
        IntegrityError: ``manifest_malformed``.
    """
    return _opened(data)[1]


def verify_files(manifest: Manifest, folder: Path) -> None:
    """Check each file that the manifest names. Files that it does not name are not looked at.

    Raises:
        IntegrityError: ``file_missing``, ``file_size`` (cut short, or longer), ``file_digest``.
    """
    for entry in manifest.files:
        path = folder / entry.name
        if path.is_symlink() or not path.is_file():
            raise IntegrityError("file_missing", f"{entry.name} is not in the folder")
        size = path.stat().st_size  # before it is read: a file of another size is not read at all
        if size == entry.bytes:
            size, digest = _digest(path)
        if size != entry.bytes:
            raise IntegrityError("file_size", f"{entry.name} has {size} bytes, the manifest says {entry.bytes}")
        if digest != entry.sha256:
            raise IntegrityError("file_digest", f"{entry.name} is not the file that was released")


def _inner(manifest: Manifest) -> dict[str, Any]:
    """The inner object as JSON values; without what its format did not know."""
    inner = manifest.model_dump(mode="json")
    for name in _LEFT_OUT:
        if inner[name] is None:
            del inner[name]
    if manifest.format == FORMER:
        inner = {name: value for name, value in inner.items() if name not in _SINCE_FORMER}
        inner["loci"].pop("genes")
        for entry in inner["files"]:
            entry.pop("plain")
    return inner


_LEFT_OUT = ("replaces", "view")
_SINCE_FORMER = ("profile", "losses", "crypt4gh", *_LEFT_OUT)


def _opened(data: bytes) -> tuple[Any, VerifierKey, bytes]:
    if len(data) > MAX_MANIFEST_BYTES or not data.endswith(b"\n"):
        raise _malformed("its length")
    try:
        envelope = canonical.decode(data[:-1])
        if set(envelope) != {"manifest", "signature"} or set(envelope["signature"]) != {"ed25519", "key"}:
            raise _malformed("its outer fields")
        signature = base64.b64decode(envelope["signature"]["ed25519"], validate=True)
        key = VerifierKey.from_text(envelope["signature"]["key"])
    except (IntegrityError, TypeError, AttributeError, ValueError):  # ValueError: base64 that is none, or not ASCII
        raise _malformed("its envelope") from None
    if key.kind != ED25519 or base64.b64encode(signature).decode() != envelope["signature"]["ed25519"]:
        raise _malformed("its signature field")
    return envelope["manifest"], key, signature


def _digest(path: Path) -> tuple[int, str]:
    try:
        with open_regular(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return file.tell(), digest
    except OSError:
        raise InputError("file_unreadable", f"{path.name} cannot be read") from None


def _where(error: ValidationError) -> str:
    """Names of the fields at fault, without their values."""
    places = {".".join(str(part) for part in item["loc"]) or "fields that exclude each other" for item in error.errors()}
    return ", ".join(sorted(places))


def _malformed(what: str) -> IntegrityError:
    return IntegrityError("manifest_malformed", f"not a manifest of this version: {what}")
