"""Pages of records by keyset: each record once, in either direction, whatever the filter."""

from __future__ import annotations

import pytest

from tests.support.vaults import opened, template
from vault.audit.reports import record_pages
from vault.audit.reports.records import Filter, records


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with opened(template(whole=False)) as s:
        yield s.trail.log


@pytest.mark.parametrize("wanted", [Filter(), Filter(act="project"), Filter(act="nosuch"), Filter(first=5)])
@pytest.mark.parametrize(("block", "most"), [(3, 2), (1_000, 50), (4, 4)])
def test_down_and_up_again_every_record_comes_once(log, monkeypatch, wanted, block, most):
    monkeypatch.setattr(record_pages, "BLOCK", block)
    every = [record.index for record in records(log, wanted)]
    down, page = [], record_pages.older(log, wanted, start=None, most=most)
    down += [one.index for one in page.records]
    while page.older is not None:
        page = record_pages.older(log, wanted, start=page.older, most=most)
        down += [one.index for one in page.records]
    assert down == every[::-1]
    up, page = [], record_pages.newer(log, wanted, start=0, most=most)
    up += reversed([one.index for one in page.records])
    while page.newer is not None:
        page = record_pages.newer(log, wanted, start=page.newer, most=most)
        up += reversed([one.index for one in page.records])
    assert up == every


def test_a_long_search_stops_and_says_from_where_it_goes_on(log, monkeypatch):
    monkeypatch.setattr(record_pages, "SCANNED", 4)
    page = record_pages.older(log, Filter(act="nosuch"), start=None, most=5)
    assert (page.records, page.exhausted, page.older) == ((), False, log.size() - 5)
