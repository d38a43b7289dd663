"""The offline verifier: completeness, order and signatures of a log, from its export and a public key.

    genovault-verify EXPORT|RECEIPT --key VKEY            or python -P -m vault.audit.verify, from whatever folder

It shares formats with the writer (``docs/formats/audit.md``) and no code: its own parsers, its own tree. From the rest of
genovault it takes the Ed25519 check and the error classes, so an auditor reads this folder and nothing else. ``--key`` is a vkey
line or a file that holds one, obtained from a source other than the export; without it the export's own ``log.vkey`` is used, and
the report says that the key is not independently trusted.

Read in this order: ``run`` (the whole check), ``checkpoints`` (signed heads), ``leaves`` (one entry), ``tree`` (all entries); ``receipts`` (one entry and its proof).

Exit codes: 0 everything holds, 2 usage, 4 no such export or receipt, or no key, 5 something does not hold.
"""

from vault.audit.verify.folder import FolderSource
from vault.audit.verify.model import MAX_FINDINGS, Chunk, EntrySource, LogFinding, VerificationReport, headline, lines_of
from vault.audit.verify.receipts import ReceiptReport, check_receipt, receipt_lines
from vault.audit.verify.run import verify, verify_folder

__all__ = [
    "MAX_FINDINGS",
    "Chunk",
    "EntrySource",
    "FolderSource",
    "LogFinding",
    "ReceiptReport",
    "VerificationReport",
    "check_receipt",
    "headline",
    "lines_of",
    "receipt_lines",
    "verify",
    "verify_folder",
]
