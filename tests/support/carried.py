"""Oracle of region views: the records a view shows of a source, computed one at a time from its text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tests.support.vcf_reading import Row

_NUMBER = re.compile(r"[0-9]+")


def shown(row: Row, *, fixed: bool = False) -> list[str] | None:
    """CHROM, POS, ID, REF, ALT, FILTER, AC, AN and the calls of a record as released; None if nobody carries an ALT of it and it is not
    a ``fixed`` site of a panel.
    """
    contig, position, _, ref, alt, filters, calls = row
    alts = [] if alt == "." else alt.split(",")
    counts = Counter(int(allele) for call, times in Counter(calls).items() for allele in _NUMBER.findall(call) * times)
    kept = [number for number in range(1, len(alts) + 1) if counts[number]]
    if not kept and not fixed:
        return None
    renumbered = {str(old): str(new) for new, old in enumerate([0, *kept])}
    translated = {call: _NUMBER.sub(lambda found: renumbered[found[0]], call) for call in set(calls)}
    ac, an = ",".join(str(counts[number]) for number in kept) or ".", str(sum(counts.values()))
    left = ",".join(alts[number - 1] for number in kept) or "."
    return [contig, position, ".", ref, left, filters, ac, an, *(translated[call] for call in calls)]


def shown_rows(rows: Sequence[Row], columns: Sequence[int]) -> list[list[str]]:
    """``shown`` of the records, with only and in this order the sample columns given."""
    chosen = ((*row[:6], [row[6][column] for column in columns]) for row in rows)
    return [record for row in chosen if (record := shown(row)) is not None]
