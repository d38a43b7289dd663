"""An exact frequency table as a folder: af.tsv, its signed manifest, and the receipt of the entry of the log that names the file.

af.tsv has the columns CHROM, POS, REF, ALT, AF, a line each in the order of the panel; docs/formats/frequencies.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.audit.actions import Action, Outcome
from vault.audit.entry import blob_list_digest, decode_leaf
from vault.audit.note import Signer, VerifierKey
from vault.audit.receipt import verify_receipt
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.extracts.signed_file import MAX_SIGNED_FILE_BYTES, SignedFile
from vault.extracts.staging import Staging
from vault.files.given_files import read_given
from vault.limits import MAX_NOTE_BYTES

TABLE_NAME = "af.tsv"
MANIFEST_NAME = "manifest.json"
RECEIPT_NAME = "af.tsv.tlog-proof"
MAX_TABLE_BYTES = 4 * 2**20  # a thousand alleles of two thousand bases

MANIFEST = SignedFile(
    "frequencies",
    frozenset(
        {"request", "project", "dataset", "assembly", "panel", "n_band", "step", "asked", "shown", "made", "file", "label"}
    ),
)
"""frequencies/1"""

LABEL = (
    "exact allele frequencies of a group of people; who has a person's genotypes may find with some certainty that they take part"
)


def text(rows: Sequence[tuple[str, str]]) -> str:
    """af.tsv of alleles, CONTIG:POS:REF:ALT, and their frequencies as written."""
    lines = ["#CHROM\tPOS\tREF\tALT\tAF"]
    lines += ["\t".join((*allele.rsplit(":", 3), frequency)) for allele, frequency in rows]
    return "\n".join(lines) + "\n"


def write(
    staging: Staging, rows: Sequence[tuple[str, str]], facts: Mapping[str, Any], *, log: str, key: Signer, receipt: str
) -> None:
    """Write the folder's files. ``facts``: what the manifest says beside the file's digest. Raises UnavailableError ``output_unwritable``."""
    data = text(rows).encode()
    said = {
        **facts,
        "shown": len(rows),
        "file": {"name": TABLE_NAME, "bytes": len(data), "sha256": sha256(data).hex()},
        "label": LABEL,
    }
    for name, content in (
        (TABLE_NAME, data),
        (MANIFEST_NAME, MANIFEST.sign(said, log, key)),
        (RECEIPT_NAME, receipt.encode()),
    ):
        with staging.create(name) as file:
            file.write(content)


def verify(folder: Path, *, log_keys: Sequence[VerifierKey], release_keys: Sequence[str]) -> dict[str, Any]:
    """Content of a folder's manifest, once everything holds: its signature, the file, and an entry of the log that names it.

    Raises:
        InputError: ``file_unreadable``. IntegrityError: as ``SignedFile.verify`` and ``verify_receipt``; ``file_altered``, ``table_not_logged``.
    """
    said = MANIFEST.verify(read_given(folder / MANIFEST_NAME, limit=MAX_SIGNED_FILE_BYTES, name=MANIFEST_NAME), release_keys)
    data = read_given(folder / TABLE_NAME, limit=MAX_TABLE_BYTES, name=TABLE_NAME)
    if said["file"] != {"name": TABLE_NAME, "bytes": len(data), "sha256": sha256(data).hex()}:
        raise IntegrityError("file_altered", f"{TABLE_NAME} is not the file that the manifest names")
    receipt = read_given(folder / RECEIPT_NAME, limit=MAX_NOTE_BYTES, name=RECEIPT_NAME).decode(errors="replace")
    _require_entry(said, sha256(data), receipt, log_keys)
    return said


def _require_entry(said: Mapping[str, Any], digest: bytes, receipt: str, log_keys: Sequence[VerifierKey]) -> None:
    objection: IntegrityError | None = None
    for key in log_keys:
        try:
            entry = decode_leaf(verify_receipt(receipt, None, key.name, [key]).leaf)
        except IntegrityError as error:
            objection = objection or error
            continue
        wanted = {
            "act": Action.TABLE_ANSWER.value,
            "outcome": Outcome.DONE.value,
            "project": said["project"],
            "blobs": {"n": 1, "list": blob_list_digest([digest]).hex()},
        }
        wrong = [field for field, value in wanted.items() if entry.get(field) != value]
        if wrong or said["log"] != key.name:
            what = ", ".join(wrong or ["log"])
            raise IntegrityError(
                "table_not_logged", f"the log's entry is about something else than this table (it differs in {what})"
            )
        return
    raise objection or IntegrityError("no_log_key", "no key of the log is given")
