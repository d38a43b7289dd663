from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault.genotypes.chunks import mixed_codes, random_escapes
from vault.genotypes.codec.call_codes import ABSENT, ESCAPE, Escapes
from vault.genotypes.sites import Sites, TextColumn
from vault.genotypes.store.part_merge import PartCalls, merge_parts


def part(keys, columns, seed, *, kind="linked"):
    """A part over (contig, pos, alleles) keys, sorted as files are."""
    rng = np.random.default_rng(seed)
    m = len(keys)
    names = list(dict.fromkeys(k[0] for k in keys))
    sites = Sites(
        tuple(names),
        np.array([names.index(k[0]) for k in keys], np.int32),
        np.array([k[1] for k in keys], np.int64),
        TextColumn.from_items([k[2] for k in keys]),
        TextColumn.from_items([b"part%d" % seed] * m),
        TextColumn.from_items([b"PASS"] * m),
        TextColumn.from_items([b""] * m),
    )
    codes = mixed_codes(kind, rng, m, len(columns)) if m else np.zeros((0, len(columns)), np.uint8)
    return PartCalls(sites, codes, random_escapes(codes, rng), np.array(columns, np.int64))


def keys_of(sites):
    return [(sites.contigs[c], p, a) for c, p, a in zip(sites.contig, sites.pos.tolist(), sites.alleles.items(), strict=True)]


def test_one_part_passes_through():
    only = part([("1", 5, b"A,T")], [0, 1], 1)
    sites, codes, _ = merge_parts([only], 2)
    assert sites is only.sites
    assert codes is only.codes


def test_a_subject_whose_part_lacks_a_site_is_absent_there():
    first = part([("1", 5, b"A,T"), ("1", 9, b"C,G")], [0, 1], 1)
    second = part([("1", 5, b"A,T"), ("1", 7, b"G,T")], [2], 2)
    sites, codes, _ = merge_parts([first, second], 3)
    assert keys_of(sites) == [("1", 5, b"A,T"), ("1", 7, b"G,T"), ("1", 9, b"C,G")]
    assert codes[1, 0] == codes[1, 1] == ABSENT
    assert codes[2, 2] == ABSENT
    assert codes[0].tolist() == [*first.codes[0], *second.codes[0]]


def test_other_alts_are_another_site():
    sites, codes, _ = merge_parts([part([("1", 5, b"A,T")], [0], 1), part([("1", 5, b"A,T,C")], [1], 2)], 2)
    assert keys_of(sites) == [("1", 5, b"A,T"), ("1", 5, b"A,T,C")]
    assert codes[0, 1] == codes[1, 0] == ABSENT


def test_one_file_per_chromosome():
    one, two = part([("2", 5, b"A,T")], [0, 1], 1), part([("1", 5, b"A,T")], [1, 0], 2)
    sites, codes, _ = merge_parts([one, two], 2)
    assert keys_of(sites) == [("2", 5, b"A,T"), ("1", 5, b"A,T")]
    assert codes[0].tolist() == one.codes[0].tolist()
    assert codes[1].tolist() == two.codes[0, ::-1].tolist()


def test_records_repeated_in_a_part_stay_apart():
    twice = part([("1", 5, b"A,T"), ("1", 5, b"A,T")], [0], 1)
    once = part([("1", 5, b"A,T")], [1], 2)
    sites, codes, _ = merge_parts([twice, once], 2)
    assert len(sites) == 2
    assert codes[:, 0].tolist() == twice.codes[:, 0].tolist()
    assert codes[:, 1].tolist() == [int(once.codes[0, 0]), ABSENT]


def test_no_parts_is_an_empty_view():
    sites, codes, escapes = merge_parts([], 3)
    assert (len(sites), codes.shape, len(escapes)) == (0, (0, 3), 0)


site_keys = st.lists(
    st.tuples(st.sampled_from(["1", "2"]), st.integers(1, 6), st.sampled_from([b"A,T", b"A,C", b"A,T,C"])), max_size=12
).map(sorted)


@settings(deadline=None)
@given(st.lists(site_keys, min_size=1, max_size=3), st.data())
def test_merging_equals_a_dictionary(files, data):
    n = 7
    columns = [data.draw(st.permutations(range(n)))[: data.draw(st.integers(0, n))] for _ in files]
    parts = [part(keys, cols, i, kind="escapes") for i, (keys, cols) in enumerate(zip(files, columns, strict=True))]
    sites, codes, escapes = merge_parts(parts, n)
    wanted: dict = {}
    calls: dict = {}
    for p in parts:
        seen: dict = {}
        for i, key in enumerate(keys_of(p.sites)):
            nth = seen[key] = seen.get(key, -1) + 1
            row = wanted.setdefault((key, nth), {})
            for j, column in enumerate(p.columns.tolist()):
                if row.get(column, ABSENT) == ABSENT:
                    row[column] = int(p.codes[i, j])
                    calls[key, nth, column] = p, i, j
    order, seen = [], {}
    for key in keys_of(sites):
        nth = seen[key] = seen.get(key, -1) + 1
        order.append((key, nth))
    assert set(order) == set(wanted)
    assert codes.tolist() == [[wanted[k].get(c, ABSENT) for c in range(n)] for k in order]
    assert [(k[0], k[1]) for k, _ in order] == sorted(
        ((k[0], k[1]) for k, _ in order), key=lambda k: (sites.contigs.index(k[0]), k[1])
    )
    assert np.stack([escapes.site, escapes.sample], axis=1).tolist() == np.argwhere(codes == ESCAPE).tolist()
    for e in range(len(escapes)):
        key, nth = order[int(escapes.site[e])]
        p, i, j = calls[key, nth, int(escapes.sample[e])]
        source = int(np.flatnonzero((p.escapes.site == i) & (p.escapes.sample == j))[0])
        mine = escapes.alleles[escapes.offset[e] : escapes.offset[e + 1]]
        theirs = p.escapes.alleles[p.escapes.offset[source] : p.escapes.offset[source + 1]]
        assert mine.tolist() == theirs.tolist()


def test_escapes_of_nothing():
    merged = merge_parts([part([], [0], 1), part([], [1], 2)], 2)[2]
    assert len(merged) == len(Escapes.empty())
