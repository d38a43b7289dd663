"""What is asked, with everything it names loaded."""

from __future__ import annotations

import pytest

from tests.support import vaults
from vault.access import scope
from vault.errors import InputError


def of_view(s, **asked):
    return scope.scope_of_view(s, **({"project": "demo", "dataset": "cohort", "panel": None, "regions": ()} | asked))


def test_a_request_asks_as_a_view_does(s):
    stored = scope.scope_of_request(s, vaults.ask(s, regions=("22:5-9",)))
    direct = of_view(s, regions=("22:5-9",))
    assert stored.request_id
    assert direct.request_id is None
    assert (stored.project, stored.dataset, stored.regions) == (direct.project, direct.dataset, direct.regions)
    assert stored.selection() == direct.selection()


def test_regions_are_counted_from_one_with_both_ends(s):
    (region,) = of_view(s, regions=("chr22:5-9",)).selection().regions
    assert (region.contig, region.start, region.end, region.positions) == ("22", 4, 9, (5, 9))


def test_no_regions_ask_for_everything(s):
    assert of_view(s).selection().regions is None


def test_a_panel_in_the_version_that_was_asked_for(s):
    request = vaults.requests.submit(s, "demo", "cohort", kind=vaults.RequestKind.RECORDS, spec=vaults.requests.Spec(panel="pgx"))
    vaults.panel(s, loci=b"22\t1\t2\n")
    assert scope.scope_of_request(s, request.request_id).panel.version == 1
    assert of_view(s, panel="pgx").panel.version == 2


def test_a_panel_of_another_dataset(s):
    vaults.bring(s, vaults.tiny(), "other")
    vaults.approve(s, "both", "cohort", "other")
    with pytest.raises(InputError) as caught:
        of_view(s, project="both", dataset="other", panel="pgx")
    assert caught.value.code == "panel_unknown"


def test_what_auditors_read_is_bounded(s):
    detail = of_view(s, regions=tuple(f"22:{n}" for n in range(1, 1500))).detail()
    assert (len(detail["regions"]), detail["n_regions"]) == (1000, 1499)
