"""Compaction: many parts of one person's import each become few parts of many, logged, all or nothing, and without a release."""
