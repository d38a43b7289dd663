"""Bodies that are written as bytes say what their models would."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support import vaults
from tests.support.vaults import opened
from tests.support.vcf_text import vcf
from vault import gate
from vault.server.bodies import Genotypes, PanelSites
from vault.server.panels import panel_bodies

SAID = {"cursor": "x", "drop": [], "whole": True}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    with opened(vaults.copy(tmp_path_factory.mktemp("bodies"), whole=False)) as s:
        gts = " ".join(["0", "1|2|1", "./.", "0/11", *["0|1"] * 8])
        alts = ",".join(["G" + "A" * n for n in range(1, 13)])
        vaults.bring(
            s,
            vcf(" ".join(vaults.SAMPLES), f"22 1005 G {alts} {gts}", f"22 1007 A G {gts.replace('11', '1').replace('2', '1')}"),
            "odd",
        )
        vaults.approve(s, "odd", "odd")
        vaults.panel(s, "odd", "odd", loci=b"22\t999\t1010\n")
        yield s, gate.read_panel(s, project="odd", dataset="odd", panel="odd")


def test_calls_of_every_form_are_those_of_the_view(read):
    s, found = read
    body = Genotypes.model_validate_json(panel_bodies.genotypes_body(s, found, SAID))
    view = found.view
    assert body.calls == {name: view.calls_of(name) for name in view.pseudonyms}
    assert {len(call) for calls in body.calls.values() for call in calls} > {3}
    assert (body.entry, body.sites_id, body.not_assayed) == (found.entry, found.sites_id, list(view.not_assayed))


def test_sites_are_those_of_the_view(read):
    s, found = read
    table = PanelSites.model_validate_json(panel_bodies.sites_body(s, found))
    assert [(one.contig, one.pos, one.ref, tuple(one.alts)) for one in table.sites] == [
        (one.contig, one.pos, one.ref, one.alts) for one in found.view.variants()
    ]


def test_nobody_and_nothing_are_still_documents(read):
    s, found = read
    none = gate.read_panel(s, project="odd", dataset="odd", panel="odd", pseudonyms=[])
    assert json.loads(panel_bodies.genotypes_body(s, none, SAID))["calls"] == {}
    assert np.asarray(none.view.codes).shape == (len(found.view.sites), 0)
