"""Consent: from answers to permit, deny or review, with reasons; the append-only ledger."""
