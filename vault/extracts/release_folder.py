"""Everything that goes into a release's folder but the receipt: genotypes, index, README, LIMITS and signed manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vault.audit.note import Signer
from vault.crypto.crypt4gh_keys import fingerprint
from vault.errors import UsageError
from vault.extracts.crypt4gh import Envelope
from vault.extracts.genotype_files import FileChoice, Progress, Unfinished, write_genotypes
from vault.extracts.limits_page import limits_text
from vault.extracts.manifest import LIMITS_NAME, MANIFEST_NAME, README_NAME, Manifest, Sealing, make_manifest, sign_manifest
from vault.extracts.parcel import Parcel
from vault.extracts.readme import readme_text
from vault.extracts.staging import Staging

if TYPE_CHECKING:
    from vault.views.pages import Paged

RECEIPT_NAME = f"{MANIFEST_NAME}.tlog-proof"


def write_folder(
    view: Paged,
    staging: Staging,
    chosen: FileChoice,
    *,
    facts: Manifest,
    signing_key: Signer,
    envelope: Envelope | None = None,
    progress: Progress | None = None,
    unfinished: Unfinished | None = None,
) -> tuple[Manifest, bytes]:
    """Write the files of ``view`` into ``staging``; ``facts`` is the manifest as yet without files.

    With an ``envelope``, whose writer and readers ``facts`` names, genotypes and indexes are sealed; what says nothing of anybody stays clear.
    ``unfinished``: of an extract that may be stopped between contigs and go on.

    Returns the manifest with its files and the bytes of manifest.json, whose SHA-256 the log's outcome entry names.

    Raises:
        UsageError: ``manifest_counts`` if the counts are not the view's, ``manifest_sealing`` if it names another envelope;
            ``wide_without_panel``; ``view_empty``, ``header_value`` of the writers.
        InputError: what the chosen format has no room for, as its writer says.
        IntegrityError: ``sites_unsorted``, and what making a page raises.
        UnavailableError: ``output_unwritable``; ``pgen_support_missing``, ``pgen_too_large``.
    """
    counts = facts.counts
    if (counts.subjects, counts.sites, counts.not_assayed) != (len(view.pseudonyms), view.summary.n_sites, len(view.not_assayed)):
        raise UsageError("manifest_counts", "the manifest counts other subjects or sites than the view has")
    _require_same(envelope, facts.crypt4gh)
    chosen.require_fits(panel=facts.kind == "panel")
    line = {"ID": facts.release, "Kind": facts.kind, "Label": facts.label}
    if facts.view is not None:
        line["Profile"] = facts.view.profile
    before = unfinished.before if unfinished else ()
    parcel = Parcel(staging, envelope, entries=[file for one in before for file in one.files])
    losses = write_genotypes(view, parcel, chosen, vault_view=line, progress=progress, unfinished=unfinished)
    facts = facts.model_copy(update={"losses": losses})
    with parcel.create(README_NAME, file_format="text", clear=True) as readme:
        readme.write(readme_text(facts, indexed=chosen.indexed).encode())
    with parcel.create(LIMITS_NAME, file_format="text", clear=True) as limits:
        limits.write(limits_text().encode())
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
