"""Coverage: the share of a cohort that a purpose could use."""

from __future__ import annotations

from vault.consent import coverage


def test_coverage_counts_everybody_once(held):
    held.answer({"SAMPLE_3": "yes", "SAMPLE_4": "no"})
    held.project("demo")
    (share,) = coverage.coverage(held.vault, "demo")
    assert (share.people, share.usable) == (12, 1)
    assert [(str(o), r.code, n) for o, r, n in share.counts] == [
        ("deny", "no_active_consent", 10),
        ("deny", "declined", 1),
        ("permit", "consent_covers_purpose", 1),
    ]
    plain = {share.purpose: share.usable for share in coverage.coverage(held.vault)}
    assert plain["research of any kind"] == plain["ancestry research"] == 1
    assert plain["clinical care"] == plain["matching to treatments"] == 0
