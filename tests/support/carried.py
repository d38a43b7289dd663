"""Oracle of views: the records a view shows of a source, computed one at a time from its text."""

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
    left = [alts[number - 1] for number in kept]
    if len(left) < len(alts):
        moved, ref, left = shortest(int(position), ref, left)
        position = str(moved)
    translated = {call: _NUMBER.sub(lambda found: renumbered[found[0]], call) for call in set(calls)}
    ac, an = ",".join(str(counts[number]) for number in kept) or ".", str(sum(counts.values()))
    return [
        contig,
        position,
        ".",
        ref,
        ",".join(left) or ".",
        filter_shown(filters),
        ac,
        an,
        *(translated[call] for call in calls),
    ]


def shown_rows(rows: Sequence[Row], columns: Sequence[int]) -> list[list[str]]:
    """``shown`` of the records, with only and in this order the sample columns given, sorted by position within each contig."""
    chosen = ((*row[:6], [row[6][column] for column in columns]) for row in rows)
    found = [record for row in chosen if (record := shown(row)) is not None]
    contigs = list(dict.fromkeys(record[0] for record in found))
    return sorted(found, key=lambda record: (contigs.index(record[0]), int(record[1])))


def filter_shown(text: str) -> str:
    """What a view says of a FILTER: that all were passed, that none was applied, or that some was not passed."""
    codes = [code for code in text.split(";") if code != "."]
    return "." if not codes else "PASS" if set(codes) == {"PASS"} else "not_passed"


def shortest(pos: int, ref: str, alts: Sequence[str]) -> tuple[int, str, list[str]]:
    """POS, REF and ALTs without the bases that all of them share at the end, then at the front; one base always stays."""
    spelled = [alt for alt in alts if alt != "*" and not alt.startswith("<")]
    if any(set(alt) & set("[].<") for alt in spelled):
        return pos, ref, list(alts)
    if not spelled:
        return pos, ref[:1], list(alts)
    texts = [ref, *spelled]
    while all(len(text) > 1 for text in texts) and len({text[-1].upper() for text in texts}) == 1:
        texts = [text[:-1] for text in texts]
    symbols = any(alt.startswith("<") for alt in alts)
    while not symbols and all(len(text) > 1 for text in texts) and len({text[0].upper() for text in texts}) == 1:
        texts, pos = [text[1:] for text in texts], pos + 1
    rest = iter(texts[1:])
    return pos, texts[0], [next(rest) if alt in spelled else alt for alt in alts]
