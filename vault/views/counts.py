"""Allele counts of a view."""

from __future__ import annotations

from vault.genotypes.allele_counts import AlleleCounts, count_calls
from vault.views.view import View


def allele_counts(view: View) -> AlleleCounts:
    """AC per ALT and AN over the subjects of a view.

    Raises:
        IntegrityError: ``call_outside_site`` if a call names an allele that its site does not list.
    """
    return count_calls(view.sites, view.codes, view.escapes)
