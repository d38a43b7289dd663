"""Everything that goes into a release's folder but the receipt: genotypes, index, README and signed manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from vault.audit.note import Signer
from vault.errors import UsageError
from vault.extracts.manifest import MANIFEST_NAME, README_NAME, Manifest, file_entry, sign_manifest
from vault.extracts.readme import readme_text
from vault.extracts.staging import Staging

if TYPE_CHECKING:
    from vault.extracts.csi import Index
    from vault.views.pages import Paged

Format = Literal["vcf", "bcf"]

RECEIPT_NAME = f"{MANIFEST_NAME}.tlog-proof"
_FORMATS = {"vcf": ("genotypes.vcf.gz", "vcf/4.3+bgzf"), "bcf": ("genotypes.bcf", "bcf/2.2+bgzf")}


def write_folder(
    view: Paged, staging: Staging, *, file_format: Format, facts: Manifest, signing_key: Signer
) -> tuple[Manifest, bytes]:
    """Write the files of ``view`` into ``staging``; ``facts`` is the manifest as yet without files.

    Returns the manifest with its files and the bytes of manifest.json, whose SHA-256 the log's outcome entry names.

    Raises:
        UsageError: ``manifest_counts`` if the counts are not the view's; ``view_empty``, ``header_value`` of the writers.
        IntegrityError: ``sites_unsorted``, and what making a page raises.
        UnavailableError: ``output_unwritable``.
    """
    counts = facts.counts
    if (counts.subjects, counts.sites, counts.not_assayed) != (len(view.pseudonyms), view.summary.n_sites, len(view.not_assayed)):
        raise UsageError("manifest_counts", "the manifest counts other subjects or sites than the view has")
    name, spelled = _FORMATS[file_format]
    write = _writer(file_format)
    line = {"ID": facts.release, "Kind": facts.kind, "Label": facts.label}
    with staging.create(f"{name}.csi") as index, staging.create(name) as genotypes:
        found = write(view, genotypes, index, vault_view=line)
    kinds = {name: spelled, f"{name}.csi": "csi/1"}
    if found.fits_tabix:
        kinds[f"{name}.tbi"] = "tbi/1"
        with staging.create(f"{name}.tbi") as index:
            found.write_tabix(index)
    with staging.create(README_NAME) as readme:
        readme.write(readme_text(facts).encode())
    manifest = facts
    for file, kind in (kinds | {README_NAME: "text"}).items():
        manifest = manifest.with_file(file_entry(staging.path / file, file_format=kind))
    data = sign_manifest(manifest, signing_key)
    with staging.create(MANIFEST_NAME) as document:
        document.write(data)
    return manifest, data


def _writer(file_format: Format) -> Callable[..., Index]:
    """``write_vcf`` or ``write_bcf``; only the kernels of that format are loaded."""
    if file_format == "bcf":
        from vault.extracts.bcf import write_bcf  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

        return write_bcf
    from vault.extracts.vcf import write_vcf  # noqa: PLC0415 - as above

    return write_vcf
