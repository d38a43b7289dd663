"""THE door: genotypes leave the vault through this package and no other way.

    1  load         project, dataset and loci asked for
    2  decide       each subject by the subject's own consent, on a ledger head that the log confirms
    3  limit        the project's declaration, obligations of the consents, smallest group
    4  log          the intent, in the transaction that has decided, durable before any block is opened
    5  open         blocks of the permitted subjects, with keys fetched only now
    6  de-identify  an extract does 5 and 6 window by window, into a hidden staging folder
    7  commit       the outcome, in the transaction that re-checks consent and project: this commit is the release
    8  release      sign the log's head, take the receipt, make the result visible

Step 1 is ``access.scope``, step 2 ``decision`` (``frozen_decisions``, where it is kept), steps 3, 4 and 7 ``accesses``, 5 and 6 ``blocks``, step 8 ``access.publication``; ``views``,
``panel_reads``, ``streams``, ``extracts``, ``answers``, ``matching``, ``tables``, ``checks`` and ``risks`` put them together, one kind of access each. A
refusal is logged with its reason; researchers and engines get one message, whatever the reason.
"""

from vault.gate.answers import counts, result
from vault.gate.checks import check
from vault.gate.extracts import extract
from vault.gate.guards import STALE
from vault.gate.matching import match, match_counts, match_price
from vault.gate.opening_code import load_code
from vault.gate.panel_reads import GuardedRead, PanelChanges, PanelRead, ReadWatch, changes, cleared_read, read_panel, tidy
from vault.gate.risks import last_risk, risk
from vault.gate.streams import stream_body, stream_header, stream_ticket
from vault.gate.tables import approve_table, assess_table, deliver_table, frequencies
from vault.gate.views import view

__all__ = [
    "STALE",
    "GuardedRead",
    "PanelChanges",
    "PanelRead",
    "ReadWatch",
    "approve_table",
    "assess_table",
    "changes",
    "check",
    "cleared_read",
    "counts",
    "deliver_table",
    "extract",
    "frequencies",
    "last_risk",
    "load_code",
    "match",
    "match_counts",
    "match_price",
    "read_panel",
    "result",
    "risk",
    "stream_body",
    "stream_header",
    "stream_ticket",
    "tidy",
    "view",
]
