"""From what a person answered to permit, deny or review, with reasons; the append-only ledger."""
