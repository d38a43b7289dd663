"""Measures of a view: against records made by hand, the published shares of unique people, and whatever the windows."""

from __future__ import annotations

import numpy as np
import pytest

from policies.disclosure import count_classes, membership
from policies.loci import Interval
from tests.support.gt_text import calls_of, sites_of
from tests.support.views import CallsInMemory
from vault.genotypes.codec.call_codes import Escapes, diploid
from vault.genotypes.sites import Sites, TextColumn
from vault.ids import Pseudonym
from vault.risk import measures, uniqueness
from vault.risk.asked_sites import AskedSites
from vault.views.deidentify import Deidentified
from vault.views.hidden_places import HiddenPlaces
from vault.views.member_evidence import member_evidence
from vault.views.site_selection import Profile

SEED = bytes(range(32))
NOWHERE = HiddenPlaces(assembly="GRCh38")


def measured(source, *, hidden=NOWHERE, window=None, min_carriers=1):
    asked = AskedSites(source, hidden)
    n = source.codes.shape[1]
    view = Deidentified(
        asked,
        [Pseudonym(str(at)) for at in range(n)],
        profile=Profile(hidden=hidden, min_carriers=min_carriers),
        assembly="GRCh38",
        window_sites=window,
    )
    return measures.measure(view, SEED), asked


def by_hand(*lines, columns=None):
    """Calls of records "contig pos ref alts gt gt …"."""
    split = [line.split() for line in lines]
    records = [(contig, int(pos), f"{ref},{alts}") for contig, pos, ref, alts, *_ in split]
    rows = [gts for _, _, _, _, *gts in split]
    return CallsInMemory(sites_of(records), *calls_of(rows, len(rows[0])))


def simulated(dosage, *, contigs=22):
    """A source of many SNPs, spread over chromosomes, without missing calls."""
    m, _ = dosage.shape
    codes = np.array([diploid(0, 0, phased=False), diploid(0, 1, phased=False), diploid(1, 1, phased=False)], np.uint8)[dosage]
    contig = np.sort(np.arange(m) % contigs).astype(np.int32)
    texts = (TextColumn.from_items([text] * m) for text in (b"A,G", b".", b"PASS", b""))
    sites = Sites(tuple(f"chr{at + 1}" for at in range(contigs)), contig, np.arange(m, dtype=np.int64) * 10 + 10, *texts)
    return CallsInMemory(sites, codes, Escapes.empty())


def common(n, m, seed=1):
    random = np.random.default_rng(seed)
    return random.binomial(2, random.uniform(0.1, 0.5, (m, 1)), (m, n)).astype(np.int8)


def test_spectrum_and_masks_are_of_what_was_asked_and_of_what_is_shown():
    source = by_hand(
        "1 10 A G 0/1 0/0 0/0 ./.", "1 20 A G,T 1/2 1/1 0/1 1/1", "2 30 A G 0/1 0/1 0/0 0/0", "2 40 A G 0/0 0/0 0/0 0/0", "2 50 A G 1/1 1/1 1/1 1/1"
    )  # fmt: skip
    found, asked = measured(source, hidden=HiddenPlaces((Interval.from_positions("chr2", 25, 45),), assembly="GRCh38"))
    named = dict(zip(count_classes.NAMES, asked.classes.tolist(), strict=True))
    assert {name: n for name, n in named.items() if n} == {"0": 1, "1": 2, "2": 1, "6-10": 2}
    shown = dict(zip(count_classes.NAMES, found.released.tolist(), strict=True))
    assert {name: n for name, n in shown.items() if n} == {"1": 2, "6-10": 2}
    assert {name: (one.asked, one.masked) for name, one in asked.by_contig.items()} == {"1": (2, 0), "2": (2, 1)}
    assert found.sites == 3
    assert found.bits.mean > 0


@pytest.mark.parametrize("window", [1, 100])
def test_rare_alleles_are_among_those_asked_for_and_not_among_those_shown(window):
    source = by_hand("1 10 A G 0/1 0/0 0/0 0/0", "1 20 A G 1/1 0/1 0/0 0/0", "1 30 A G 0/1 0/1 0/1 0/1")
    found, asked = measured(source, window=window, min_carriers=2)
    assert asked.classes.tolist()[:4] == [0, 1, 0, 2]
    assert found.released.tolist()[:4] == [0, 0, 0, 2]


def test_a_batch_shows_by_what_is_missing_together():
    assayed, not_assayed = "0/1 0/1 0/0 0/1 0/0 0/1", "0/1 0/1 ./. ./. ./. 0/1"
    found, _ = measured(by_hand(*(f"1 {at} A G {not_assayed if at > 30 else assayed}" for at in range(10, 80, 10))))
    assert found.missing == measures.MissingPatterns(patterns=2, largest=3, alone=0)


def test_everything_shown_tells_people_apart_that_common_sites_do_not():
    found, _ = measured(
        by_hand("1 10 A G 0/0 0/0 0/1 0/1", "1 20 A G 0/1 0/0 0/0 0/0", "1 30 A G ./. ./. 0/1 0/0", "1 40 A G 0/1 0/1 0/1 0/1")
    )
    assert found.unique_by_all == 1
    assert found.common == 3
    assert set(found.unique) == {1, 2, 3}


def test_calls_of_many_alleles_are_told_apart():
    same, _ = measured(by_hand("1 10 A G,T 0/1/2 0/1/2 1/1/1"))
    assert same.unique_by_all == pytest.approx(1 / 3)
    order, _ = measured(by_hand("1 10 A G,T 0/1/2 0/0/2 1/1/1"))
    assert order.unique_by_all == 1


@pytest.mark.parametrize(("number", "share"), [(5, 0.04), (8, 0.45), (10, 0.84), (12, 0.92), (15, 0.995), (20, 1.0)])
def test_shares_are_near_those_published(number, share):
    """1,000 people, minor frequencies from 0.1 to 0.5 (docs/design/disclosure.md §15), of one draw each there."""
    found = uniqueness.curve(common(1_000, 2_000), SEED)
    assert found[number] == pytest.approx(share, abs=0.05 if number in {5, 15, 20} else 0.12)


def test_the_same_view_has_the_same_measures_whatever_its_windows():
    source = simulated(common(60, 2_600))
    whole, _ = measured(source, window=5_000)
    some, asked = measured(source, window=333)
    for name in ("sites", "common", "unique", "unique_by_all", "kin", "missing"):
        assert getattr(whole, name) == getattr(some, name), name
    assert whole.released.tolist() == some.released.tolist() == asked.classes.tolist()
    assert (whole.kin.chromosomes, whole.kin.why_not) == (22, None)


def test_kin_is_not_assessed_on_few_chromosomes_or_sites():
    few, _ = measured(simulated(common(20, 2_600, seed=2), contigs=4))
    assert few.kin.pairs is None
    assert few.kin.why_not == f"it takes 2,000 common sites on 5 chromosomes, and there are {few.common:,} on 4"
    assert measured(simulated(common(20, 1_000)))[0].kin.pairs is None


def test_published_frequencies_tell_as_a_table_of_them_would():
    dosage = common(200, 800)
    found, _ = measured(simulated(dosage), window=300)
    told = found.frequencies
    assert told.m == found.common
    assert (told.mu, told.power) == (membership.strength(told.m, 200), membership.power(told.m, 200))
    each = member_evidence(dosage[(np.minimum(dosage.mean(axis=1), 2 - dosage.mean(axis=1)) >= 0.1)])
    assert told.lambda_max == pytest.approx(each.max())
    assert told.lambda_p95 == pytest.approx(np.quantile(each, 0.95, method="higher"))
    men = by_hand(*(f"X {at} A G 0 1 0/1 1/1 0/0 1" for at in (10, 20)))
    assert measured(men)[0].frequencies.m == 0  # of nine in ten people two copies are called


def test_a_sample_is_no_larger_than_its_memory(monkeypatch):
    monkeypatch.setattr("vault.risk.common_sites.MOST_CALLS", 100 * 60)
    found, _ = measured(simulated(common(60, 2_600)), window=500)
    assert found.common > 2_000
    assert found.kin.sites == 100
