"""Requests, extracts, downloads, notices and receipts of researchers."""
