"""What somebody hid, worked out from what is shown around it: James Watson's APOE (Nyholt and others, 2009), by Li and Stephens's model (2003)."""

from __future__ import annotations

import json

import numpy as np
import pytest

from policies.loci import MARGIN
from tests.support import people
from tests.support.attack_figures import shown
from tests.support.held import Held
from tests.support.imputing import changed, imputed, seen
from tests.support.membership import auc
from tests.support.outside import shared
from vault import gate
from vault.access import reference_data
from vault.consent import recording

ATTACK = "Working out what was hidden"
HALF = 10_000  # bases on each side of a hidden place's middle
REGION = (1_000_000, 4_000_000)
COMMON = (0.1, 0.9)
GAIN = 0.05


def learned(panel, copies, positions, hidden, truth, *, shown_sites, place):
    """Mean AUC of telling carriers of the rarer allele from others, over hidden sites; frequencies alone give 0.5.

    ``panel`` int8[m, H], ``copies`` int8[m, t], ``hidden`` int8[h, H] of the panel and ``truth`` int8[h, t]; ``shown_sites`` bool[m].
    """
    expected = imputed(panel[shown_sites], hidden, copies[shown_sites], positions[shown_sites], place=place)
    found = []
    for score, copies_there, frequency in zip(expected, truth, hidden.mean(axis=1), strict=True):
        sign, carries = (1, copies_there >= 1) if frequency < 0.5 else (-1, copies_there <= 1)
        if 0 < carries.sum() < len(carries):
            found.append(auc(sign * score[carries], sign * score[~carries]))
    return float(np.mean(found))


def test_emissions_are_chances_and_distances_count():
    assert np.allclose(seen(0.01).sum(axis=1), 1)
    assert changed(0, 100) == 0
    assert 0 < changed(1_000, 100) < changed(100_000, 100) < 1


def test_the_model_copies_what_a_neighbour_tells():
    """Two kinds of haplotypes, told apart by three sites left and three right: the hidden one is the middle."""
    panel = np.array([[0, 0, 1, 1]] * 7, np.int8)
    positions = np.arange(7, dtype=np.int64) * 1_000
    around = np.arange(7) != 3
    copies = np.array([[0, 1, 2]] * 7, np.int8)
    expected = imputed(panel[around], panel[3:4], copies[around], positions[around], place=3_000)
    assert np.allclose(expected, [[0, 1, 2]], atol=0.05)


@pytest.mark.long
def test_half_of_the_people_from_the_other_half():
    """HapMap's 60 people: 30 are the reference, the genotypes of 30 are attacked at 16 places."""
    found = people.calls(people.CHR20_HAPMAP)
    found = found.rows((found.positions > REGION[0]) & (found.positions < 9_000_000))
    draw = np.random.default_rng(41)
    order = draw.permutation(len(found.people))
    reference = np.stack([2 * order[:30], 2 * order[:30] + 1], axis=1).reshape(-1)
    panel, copies = found.alleles[:, reference], found.copies[:, order[30:]]
    frequency = panel.mean(axis=1)
    told = {0: [], MARGIN: []}
    for place in np.linspace(2_000_000, 8_000_000, 16).astype(int).tolist():
        away = np.abs(found.positions - place)
        hidden = (away <= HALF) & (frequency >= COMMON[0]) & (frequency <= COMMON[1])
        for margin, scores in told.items():
            if hidden.any():
                scores.append(
                    learned(
                        panel, copies, found.positions, panel[hidden], copies[hidden],
                        shown_sites=away > HALF + margin, place=place,
                    )
                )  # fmt: skip
    off, guarded = (float(np.mean(scores)) - 0.5 for scores in told.values())
    assert off >= 0.2
    assert guarded <= GAIN
    shown(
        ATTACK,
        "gain over guessing by frequency, hidden gene of 20,000 bases (0.50 is full knowledge)",
        on=f"HapMap, chromosome 20, 60 people of Utah, half of them the reference, {len(told[0])} places",
        off=off,
        guarded=guarded,
        bound="≤ 0.05",
        tolerance=0.02,
    )


PLACE = 2_500_000
PACK = {
    "version": "own 1",
    "source": "a test",
    "date": "2026-01-01",
    "assemblies": {"GRCh37": {"categories": {"own": [f"20:{PLACE - HALF}-{PLACE + HALF}"]}}},
}


def viewed(held):
    """Copies int8[t] of Tuscans by (position, REF, ALT), as the people of a project see them: all calls known, one ALT."""
    found = gate.view(held.vault, project="genes", dataset="cohort", regions=[f"20:{REGION[0]}-{REGION[1]}"])
    everyone = people.calls(people.CHR20).people
    tuscans = {everyone[at] for at in people.of_population(everyone, "TSI")}
    names = held.names("genes")
    order = sorted((names[name], at) for at, name in enumerate(found.pseudonyms) if names[name] in tuscans)  # views are shuffled
    calls = found.genotypes[:, [at for _, at in order], :2]
    texts = [(one.pos, one.ref, one.alts) for one in found.variants()]
    return {
        (position, ref, alts[0]): call.sum(axis=1).astype(np.int8)
        for (position, ref, alts), call in zip(texts, calls, strict=True)
        if len(alts) == 1 and (call >= 0).all()
    }


@pytest.mark.long
def test_a_view_with_a_hidden_place_does_not_tell_it(tmp_path):
    """The attacker has HapMap's haplotypes of Utah, and views of people of Tuscany before and after somebody hides a place."""
    held = Held.make(tmp_path)
    held.load(shared(people.CHR20), assembly="GRCh37")
    held.everyone_consents()
    held.project("genes")
    before = viewed(held)
    reference_data.load(held.vault, reference_data.LOCI, json.dumps(PACK), version="own 1")
    recording.withdraw(held.vault, people.calls(people.CHR20).people[-1], scope="loci:own")
    after = viewed(held)
    held.vault.close()
    hapmap = people.calls(people.CHR20_HAPMAP)
    theirs = {(p, *s): row for p, s, row in zip(hapmap.positions.tolist(), hapmap.spelled, hapmap.alleles, strict=True)}
    wanted = [
        text
        for text in sorted(before.keys() & theirs.keys())
        if abs(text[0] - PLACE) <= HALF and COMMON[0] <= theirs[text].mean() <= COMMON[1]
    ]
    gains = []
    for view in (before, after):
        both = sorted(view.keys() & theirs.keys())
        positions = np.array([text[0] for text in both], np.int64)
        panel, copies = np.array([theirs[text] for text in both]), np.array([view[text] for text in both])
        hidden, truth = np.array([theirs[text] for text in wanted]), np.array([before[text] for text in wanted])
        around = np.abs(positions - PLACE) > HALF
        gains.append(learned(panel, copies, positions, hidden, truth, shown_sites=around, place=PLACE) - 0.5)
    assert min(abs(text[0] - PLACE) for text in after) > HALF + MARGIN
    off, guarded = gains
    assert off >= 0.2
    assert guarded <= GAIN
    shown(
        ATTACK,
        "the same, in views of a vault",
        on=f"1000 Genomes, chromosome 20, 107 people of Tuscany; reference: HapMap, 60 people of Utah; {len(wanted)} hidden variants",
        off=off,
        guarded=guarded,
        bound="≤ 0.05",
        tolerance=0.02,
    )
