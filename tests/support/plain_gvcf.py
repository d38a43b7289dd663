"""The oracle of the gVCF reader: one person's lines, read one by one with text functions, as docs/design/genotypes.md §13 says."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from tests.support.per_base import Interval
from vault.genotypes.ingest.assay_rule import AssayRule

UNKNOWN = ("<NON_REF>", "<*>")
Record = tuple[int, str, str]
"""(position, "REF,ALT1,…", GT)."""


@dataclass
class PlainGvcf:
    """What came of the lines of one contig: ``intervals`` as ``per_base`` takes them, and the records kept, sorted by position."""

    intervals: list[Interval] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)


def read_plainly(lines: list[str], rule: AssayRule) -> PlainGvcf:
    """The lines (tab-separated, of one contig) under a rule."""
    found = PlainGvcf()
    for line in lines:
        _, pos, _, ref, alts, _, filters, info, keys, cell = line.split("\t")
        values = {k: v for k, v in zip(keys.split(":"), cell.split(":"), strict=False) if v not in {"", "."}}
        infos = dict(item.partition("=")[::2] for item in info.split(";"))
        start, names = int(pos), [] if alts == "." else alts.split(",")
        real = [alt for alt in names if alt not in UNKNOWN]
        end = start + len(ref) - 1
        if not real:
            end = int(infos["END"]) if infos.get("END", ".") != "." else start + int(values.get("LEN", len(ref))) - 1
        gt = values.get("GT", ".").replace("|", "/" if {"PS", "PSL"} & set(values) else "|")  # no phase without its set
        call = [None if a == "." else int(a) for a in re.split(r"[/|]", gt)]
        accepted = {"PASS", ".", "RefCall", *rule.accepted_filters}
        passes = {*filters.split(";"), *values.get("FT", "PASS").split(";")} <= accepted
        if any(call):
            found.intervals.append((start, end, 0))
            record = kept(start, ref, names, call, gt)
            if record and (passes or rule.filtered == "keep"):
                found.records.append(record)
        else:
            found.intervals.append((start, end, level(call, values, infos, rule) if passes else 0))
    found.records = one_a_place(sorted(found.records, key=lambda record: record[0]))
    return found


def level(call: list[int | None], values: dict[str, str], infos: dict[str, str], rule: AssayRule) -> int:
    """The level of a reference call under no filter."""
    if None in call or len(call) > 2:
        return 0
    gq = next((int(values[key]) for key in ("GQ", "RGQ", "GQX") if key in values), None)
    depths = (values.get("MIN_DP"), infos.get("MIN_DP"), values.get("MinDP"), infos.get("MinDP"), values.get("DP"))
    depth = next((int(d) for d in depths if d not in {None, "."}), None)
    if rule.min_gq and (gq is None or gq < rule.min_gq):
        return 0
    if depth is not None and depth < (rule.min_dp_haploid if len(call) == 1 else rule.min_dp):
        return 0
    return min(3, max(1, (gq or 0) // 10)) + 4 * (len(call) == 1)


def kept(start: int, ref: str, names: list[str], call: list[int | None], gt: str) -> Record | None:
    """The record with its called ALTs alone, as short as they allow; None if none is left."""
    call = [None if a and names[a - 1] in UNKNOWN else a for a in call]
    used = sorted({a for a in call if a})
    if not used:
        return None
    texts = [ref, *(names[a - 1] for a in used)]
    if all(re.fullmatch("[ACGT]+", text) for text in texts):
        while min(map(len, texts)) > 1 and len({text[-1] for text in texts}) == 1:
            texts = [text[:-1] for text in texts]
        while min(map(len, texts)) > 1 and len({text[0] for text in texts}) == 1:
            texts, start = [text[1:] for text in texts], start + 1
    numbers = iter(["." if a is None else "0" if a == 0 else str(1 + used.index(a)) for a in call])
    return start, ",".join(texts), re.sub(r"[0-9.]+", lambda _: next(numbers), gt)


def one_a_place(records: list[Record]) -> list[Record]:
    """The records with those of one (POS, REF) made one: two single copies of different ALTs combine, anything else is left out."""
    places: dict[tuple[int, str], list[Record]] = defaultdict(list)
    for record in records:
        places[record[0], record[1].split(",")[0]].append(record)
    return [record for group in places.values() if (record := group[0] if len(group) == 1 else pair(group)) is not None]


def pair(group: list[Record]) -> Record | None:
    """Two records as one, if they say it."""
    if len(group) != 2:
        return None
    (pos, alleles, first), (_, others, second) = group
    alt, other = alleles.split(",")[1:], others.split(",")[1:]
    copies = [[a not in {"0", "."} for a in re.split(r"[/|]", gt)] for gt in (first, second)]
    if any(len(has) != 2 or sum(has) != 1 for has in copies) or alt == other:
        return None
    if "|" not in first or "|" not in second:
        return pos, f"{alleles},{other[0]}", "1/2"
    if copies[0] == copies[1]:
        return None
    return pos, f"{alleles},{other[0]}", "1|2" if copies[0][0] else "2|1"
