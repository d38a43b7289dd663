"""Everything that goes into a release's folder but the receipt: genotypes, index, README and signed manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from vault.audit.note import Signer
from vault.crypto.crypt4gh_keys import fingerprint
from vault.errors import UsageError
from vault.extracts.crypt4gh import Envelope
from vault.extracts.manifest import MANIFEST_NAME, README_NAME, Manifest, Sealing, make_manifest, sign_manifest
from vault.extracts.parcel import Parcel
from vault.extracts.readme import readme_text
from vault.extracts.staging import Staging

if TYPE_CHECKING:
    from vault.extracts.csi import Index
    from vault.views.pages import Paged

Format = Literal["vcf", "bcf"]

RECEIPT_NAME = f"{MANIFEST_NAME}.tlog-proof"
_FORMATS = {"vcf": ("genotypes.vcf.gz", "vcf/4.3+bgzf"), "bcf": ("genotypes.bcf", "bcf/2.2+bgzf")}


def write_folder(
    view: Paged,
    staging: Staging,
    *,
    file_format: Format,
    facts: Manifest,
    signing_key: Signer,
    envelope: Envelope | None = None,
) -> tuple[Manifest, bytes]:
    """Write the files of ``view`` into ``staging``; ``facts`` is the manifest as yet without files.

    With an ``envelope``, whose writer and readers ``facts`` names, genotypes and indexes are sealed; what says nothing of anybody stays clear.

    Returns the manifest with its files and the bytes of manifest.json, whose SHA-256 the log's outcome entry names.

    Raises:
        UsageError: ``manifest_counts`` if the counts are not the view's, ``manifest_sealing`` if it names another envelope;
            ``view_empty``, ``header_value`` of the writers.
        IntegrityError: ``sites_unsorted``, and what making a page raises.
        UnavailableError: ``output_unwritable``.
    """
    counts = facts.counts
    if (counts.subjects, counts.sites, counts.not_assayed) != (len(view.pseudonyms), view.summary.n_sites, len(view.not_assayed)):
        raise UsageError("manifest_counts", "the manifest counts other subjects or sites than the view has")
    _require_same(envelope, facts.crypt4gh)
    name, spelled = _FORMATS[file_format]
    write = _writer(file_format)
    line = {"ID": facts.release, "Kind": facts.kind, "Label": facts.label}
    parcel = Parcel(staging, envelope)
    with parcel.create(f"{name}.csi", file_format="csi/1") as index, parcel.create(name, file_format=spelled) as genotypes:
        found = write(view, genotypes, index, vault_view=line)
    if found.fits_tabix:
        with parcel.create(f"{name}.tbi", file_format="tbi/1") as index:
            found.write_tabix(index)
    with parcel.create(README_NAME, file_format="text", clear=True) as readme:
        readme.write(readme_text(facts).encode())
    manifest = make_manifest(**{**facts.model_dump(), "files": tuple(parcel.entries)})
    data = sign_manifest(manifest, signing_key)
    with staging.create(MANIFEST_NAME) as document:
        document.write(data)
    return manifest, data


def _require_same(envelope: Envelope | None, told: Sealing | None) -> None:
    """Raises UsageError ``manifest_sealing`` unless the manifest tells of the envelope that files are sealed in."""
    own = None if envelope is None else (envelope.writer.public.hex(), [fingerprint(reader) for reader in envelope.readers])
    if own != (told and (told.writer, [recipient.fingerprint for recipient in told.recipients])):
        raise UsageError("manifest_sealing", "the manifest names another envelope than the files are sealed in")


def _writer(file_format: Format) -> Callable[..., Index]:
    """``write_vcf`` or ``write_bcf``; only the kernels of that format are loaded."""
    if file_format == "bcf":
        from vault.extracts.bcf import write_bcf  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

        return write_bcf
    from vault.extracts.vcf import write_vcf  # noqa: PLC0415 - as above

    return write_vcf
