"""Registrations merged after a compaction: the earlier import's call stands, as it does where nothing was joined, or the merge is refused."""

from __future__ import annotations

import pytest

from tests.support.gvcf_text import block, gvcf
from tests.support.held import Held
from tests.vault.genotypes.imports import calls
from vault.errors import RefusedError
from vault.operations.compaction import process as compaction
from vault.operations.corrections import merging

ALTS = {"S": "G", "G": "T"}


def merged(folder, order: str, stays: str, goes: str, *, joined: bool) -> dict:
    """What the one that stays carries, by ALTs of the line."""
    held = Held.make(folder)
    held.load(held.write("z", gvcf("Z", block(1, 50))))
    for name in order:
        record = f"1 100 A {ALTS[name]},<NON_REF> 0/1 50"
        held.load(held.write(name, gvcf(name, block(1, 99), record)), append=True, accept=True)
    if joined:
        compaction.compact(held.vault, "cohort")
    merging.merge(held.vault, stays, goes, reason="twice", accept=True)
    return {key[1:]: call for key, call in calls(held).items() if key[0] == stays and max(call) > 0}


@pytest.mark.parametrize(("order", "stays", "goes"), [("SG", "S", "G"), ("SG", "G", "S"), ("GS", "S", "G"), ("GS", "G", "S")])
def test_the_earlier_call_stands_or_the_merge_is_refused_with_the_cure(tmp_path, order, stays, goes):
    (tmp_path / "apart").mkdir()
    (tmp_path / "joined").mkdir()
    wanted = merged(tmp_path / "apart", order, stays, goes, joined=False)
    assert [key[2].partition(",")[2] for key in wanted] == [ALTS[order[0]]]
    if order[0] == stays:
        assert merged(tmp_path / "joined", order, stays, goes, joined=True) == wanted
        return
    with pytest.raises(RefusedError) as caught:
        merged(tmp_path / "joined", order, stays, goes, joined=True)
    assert caught.value.code == "merge_order"
    assert "the other way round" in caught.value.hint
