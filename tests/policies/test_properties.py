"""The properties of docs/design/consent.md §16.2, over random histories and purposes."""

from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies.consent import Answer, ConsentEvent, CorrectionKind, Level, PolicyAnswer, QcState, ScopeKind, Withdrawal
from policies.corrections import needs_evidence, opens
from policies.decisions import HAS_SATISFIED_POLICY, Decision, decide
from policies.purposes import Purpose, UseKind
from policies.records import dump_event, parse_event
from policies.standing import sources
from policies.states import fold
from policies.term_matching import Effect
from policies.terms import Alternative, Modifier, Terms, parse_expression
from tests.support.consenting import CANCER, DISEASE, LUNG, ONTOLOGY, T0, state_of
from tests.support.histories import AT, MODIFIERS, a_purpose, corrected, event, history, recorded_now, terms

seeds = st.integers(0, 2**40).map(Random)
PERMIT = Effect.PERMIT


def decided(events: list[ConsentEvent], what: Purpose) -> Decision:
    return decide(fold(events), what, legal_at=AT, ontology=ONTOLOGY)


def on_terms(alternatives: Terms, what: Purpose) -> Decision:
    return decide(state_of(alternatives), what, legal_at=AT, ontology=ONTOLOGY)


def correcting(random: Random, events: list[ConsentEvent]) -> dict[str, object]:
    """Half the time, all that a correction needs to undo an earlier event: an opposing event must not manage it even so."""
    if not events or random.random() < 0.5:
        return {}
    return {"supersedes": random.choice(events).event_id, "qc": QcState.VALID, "evidence_hash": "ab"}


@settings(max_examples=400)
@given(seeds)
def test_1_adding_a_withdrawal_never_opens_anything(random):
    events, what = history(random), a_purpose(random)
    reach = random.choice(
        ["everything", "policy:research_use", "policy:recontact", "module:broad/use", "purpose:hmb", "recipient:x"]
    )
    withdrawal = Withdrawal(reach, random.choice(list(Level)))
    extra = replace(event(random, len(events) + 1), withdrawal=withdrawal, answers=(), rules=2, **correcting(random, events))
    before, after = decided(events, what), decided([*events, extra], what)
    assert before.permitted or not after.permitted


@settings(max_examples=500)
@given(seeds)
def test_1b_whatever_the_clocks_a_later_no_beats_an_earlier_yes(random):
    events = [replace(one, rules=2) for one in history(random)]
    last = ConsentEvent("last", len(events) + 1, AT, AT, withdrawal=Withdrawal(), rules=2)
    clocks = random.sample([(one.legal_time, one.precision) for one in [*events, last]], len(events) + 1)
    moved = [replace(one, legal_time=at, precision=kind) for one, (at, kind) in zip([*events, last], clocks, strict=True)]
    assert decided(moved, a_purpose(random)).outcome is Effect.DENY


@given(seeds)
def test_1c_a_yes_undoes_a_no_only_if_it_is_later_in_the_ledger_and_legally(random):
    events = [replace(one, rules=2) for one in history(random)]
    for _, yes in sources(fold(events), legal_at=AT).granting:
        for no in fold(events).oppositions:
            if no.scope.kind is ScopeKind.EVERYTHING and no.level >= Level.NO_NEW_USE:
                assert yes.place > no.place or no.by_time
                assert yes.legal_time > no.legal_time


@given(seeds)
def test_2_the_order_in_which_events_are_given_changes_nothing(random):
    events, what = history(random), a_purpose(random)
    shuffled = random.sample(events, len(events))
    assert decided(events, what).explain() == decided(shuffled, what).explain()


@given(seeds, st.sampled_from([code for code in MODIFIERS if code != "CC"]))
def test_3_a_narrowing_modifier_never_opens_anything(random, code):
    what, wide = a_purpose(random), terms(random)
    extra = parse_expression(f"GRU+{code}").alternatives[0].modifiers
    narrow = Terms.from_alternatives(*(replace(one, modifiers=(*one.modifiers, *extra)) for one in wide.alternatives))
    assert on_terms(wide, what).permitted or not on_terms(narrow, what).permitted


@given(seeds)
def test_4_moving_down_from_gru_to_hmb_to_ds_never_opens_anything(random):
    what = a_purpose(random)
    modifiers = tuple(parse_expression(f"GRU+{code}").alternatives[0].modifiers[0] for code in random.sample(MODIFIERS, 2))
    steps = [Alternative("GRU", (), modifiers), Alternative("HMB", (), modifiers), Alternative("DS", (CANCER,), modifiers)]
    permits = [on_terms(Terms.from_alternatives(step), what).permitted for step in steps]
    assert permits == sorted(permits, reverse=True)


@given(seeds, st.sampled_from([CANCER, DISEASE, LUNG]))
def test_5_a_more_general_disease_never_opens_anything(random, allowed):
    kinds = random.choice([(UseKind.DISEASE,), (UseKind.DISEASE, UseKind.METHODS)])
    what = replace(a_purpose(random), use_kinds=kinds, diseases=(LUNG,))
    consent = Terms.from_alternatives(Alternative("DS", (allowed,)))
    permits = [on_terms(consent, replace(what, diseases=(disease,))).permitted for disease in (LUNG, CANCER, DISEASE)]
    assert permits == sorted(permits, reverse=True)


@given(seeds)
def test_6_a_withdrawal_of_everything_denies_every_purpose(random):
    events, what = history(random), a_purpose(random)
    last = ConsentEvent("last", 99, T0.replace(year=2100), AT, withdrawal=Withdrawal())
    assert decided([*events, last], what).outcome is Effect.DENY


@given(seeds)
def test_7_npuncu_is_npu_and_ncu(random):
    what, base = a_purpose(random), terms(random).alternatives[0]
    rest = tuple(item for item in base.modifiers if item.code not in {"NPU", "NCU", "NPUNCU"})
    joined = on_terms(Terms.from_alternatives(replace(base, modifiers=(*rest, Modifier("NPUNCU")))), what)
    parts = on_terms(Terms.from_alternatives(replace(base, modifiers=(*rest, Modifier("NPU"), Modifier("NCU")))), what)
    assert (joined.outcome, set(joined.reasons), joined.obligations) == (parts.outcome, set(parts.reasons), parts.obligations)


@given(seeds)
def test_8_the_order_of_lists_changes_nothing(random):
    what, alternatives = a_purpose(random), terms(random).alternatives
    mixed = [
        replace(one, modifiers=tuple(random.sample(one.modifiers, len(one.modifiers))), diseases=one.diseases[::-1])
        for one in random.sample(alternatives, len(alternatives))
    ]
    other = replace(what, rulings=what.rulings[::-1], diseases=what.diseases[::-1], commitments=what.commitments[::-1])
    first, second = on_terms(Terms.from_alternatives(*alternatives), what), on_terms(Terms.from_alternatives(*mixed), other)
    assert (first.outcome, set(first.reasons), first.obligations) == (second.outcome, set(second.reasons), second.obligations)


@given(seeds)
def test_9_every_decision_gives_a_reason_and_permits_cite_the_event(random):
    decision = decided(history(random), a_purpose(random))
    assert decision.reasons
    assert all(reason.words() for reason in decision.reasons)
    if decision.permitted:
        assert any(item.outcome == HAS_SATISFIED_POLICY for item in decision.evidence)
        assert decision.obligations.no_reid


@given(st.integers(0, 2**40))
def test_10_the_same_inputs_give_the_same_bytes(seed):
    first, second = (decided(history(random), a_purpose(random)).explain() for random in (Random(seed), Random(seed)))
    assert first == second


@settings(max_examples=400)
@given(seeds)
def test_an_added_event_that_only_opposes_never_opens_anything(random):
    events, what = history(random), a_purpose(random)
    said = random.choice([Answer.DECLINED, Answer.OBJECTED, Answer.INVALIDATED, Answer.WITHDRAWN])
    extra = replace(
        event(random, len(events) + 1),
        withdrawal=None,
        answers=(PolicyAnswer("recontact", said),),
        rules=2,
        **correcting(random, events),
    )
    before, after = decided(events, what), decided([*events, extra], what)
    assert before.permitted or not after.permitted


@settings(max_examples=400)
@given(seeds)
def test_a_correction_that_asks_for_one_steward_opens_nothing_now_or_later(random):
    events = history(random)
    extra = replace(
        recorded_now(random, event(random, len(events) + 1)),
        supersedes=random.choice([one.event_id for one in events] or ["e0"]),
        qc=QcState.VALID,
        evidence_hash=random.choice(["", "ab"]),
    )
    extra = corrected(random, extra)
    assume(not opens(events, extra, at=AT))
    before, after = fold(events), fold([*events, extra])
    for days in (0, 1, 30, 200, 900, 5_000):
        at, what = AT + timedelta(days=days), a_purpose(random)
        was, now = (decide(state, what, legal_at=at, ontology=ONTOLOGY).permitted for state in (before, after))
        assert was or not now


@settings(max_examples=400)
@given(seeds)
def test_a_no_is_taken_out_of_force_only_by_what_asks_for_evidence(random):
    events = history(random)
    candidates = [one for one in events if not needs_evidence(one)]
    assume(candidates)
    target = random.choice(candidates)
    extra = replace(
        event(random, len(events) + 1), correction=CorrectionKind.VOID, supersedes=target.event_id, answers=(), withdrawal=None
    )
    stands = {(no.event_id, no.scope, no.level) for no in fold([*events, replace(extra, rules=2)]).oppositions}
    assert stands >= {(no.event_id, no.scope, no.level) for no in fold(events).oppositions}


@given(seeds)
def test_another_alternative_never_closes_anything(random):
    what = a_purpose(random)
    some, more = terms(random), terms(random)
    both = Terms.from_alternatives(*some.alternatives, *more.alternatives)
    assert on_terms(both, what).permitted == (on_terms(some, what).permitted or on_terms(more, what).permitted)


@given(seeds)
def test_an_event_survives_its_stored_text(random):
    one = event(random, 3)
    assert parse_event(dump_event(one)) == one
