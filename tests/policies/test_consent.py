"""The traps of docs/design/consent.md §15 and §16.1, and the fold's own rules, each under its name."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest

from policies.consent import (
    Answer,
    ConsentEvent,
    Level,
    OnMajority,
    PolicyAnswer,
    Precision,
    QcState,
    SignerRole,
    Status,
    answer_scope,
    scope,
)
from policies.decisions import decide
from policies.errors import PolicyInputError
from policies.loci import Interval, LocusRule, RuleKind
from policies.purposes import Activity, Organisation, UseKind
from policies.records import dump_event, parse_event
from policies.rules import MaterialChange, Rules
from policies.standing import TimeWindow
from policies.states import fold
from policies.times import LeapDay, add_months, comes_of_age
from tests.support.consenting import HMB, NOW, accept, answer, ask, day, event, purpose, why, withdraw

GUARDIAN = {"signer": SignerRole.GUARDIAN, "lapses_at": day(1000)}


def status(seq, mark, *, legal=0.0, **rest):
    return event(seq, legal=legal, status=mark, **rest)


def test_silence_is_denial():
    assert why(ask([])) == ("deny", "no_active_consent")


@pytest.mark.parametrize("said", [item for item in Answer if item is not Answer.ACCEPTED])
def test_only_accepted_permits(said):
    decision = ask([event(1, answer(said, "GRU"))])
    assert not decision.permitted
    assert decision.reasons[0].code == str(said)


def test_revocation_with_expiry_then_an_older_longer_consent_stays_denied():
    revocation = withdraw(2, legal=10, valid_to=day(20))
    assert why(ask([accept(1, valid_to=day(9000)), revocation])) == ("deny", "withdrawn")


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_same_day_accept_and_withdraw_deny_in_either_insertion_order(order):
    assert why(ask([accept(order[0], legal=5), withdraw(order[1], legal=5)])) == ("deny", "withdrawn")


def test_back_dated_withdrawal_denies_now_and_history_shows_what_was_known():
    events = [accept(1), withdraw(2, legal=3, recorded=30)]
    assert not ask(events).permitted
    assert decide(fold(events, known_at=day(20)), HMB, legal_at=day(20)).permitted
    assert not decide(fold(events, known_at=day(31)), HMB, legal_at=day(20)).permitted


def test_a_withdrawal_with_a_future_legal_time_counts_at_once_for_a_release_and_not_in_history():
    events = [accept(1), withdraw(2, legal=9000, recorded=3)]
    assert why(ask(events)) == ("deny", "withdrawn")
    assert decide(fold(events, known_at=NOW), HMB, legal_at=NOW).permitted


def test_an_acceptance_waits_for_its_legal_time():
    assert why(ask([accept(1, legal=9000, recorded=0)])) == ("deny", "consent_not_yet_valid")


def test_a_release_counts_events_up_to_the_head_whatever_the_recorder_s_clock_said():
    events = [accept(1, recorded=9999), withdraw(2, legal=1, recorded=9999)]
    assert decide(fold(events, head=1), HMB, legal_at=NOW).permitted
    assert not decide(fold(events, head=2), HMB, legal_at=NOW).permitted


def test_bundle_acceptance_does_not_bring_back_a_withdrawn_policy():
    events = [accept(1), withdraw(2, "policy:research_use", legal=5), accept(3, legal=10, explicit=False)]
    assert why(ask(events)) == ("deny", "not_named_again")
    assert ask([*events[:2], accept(3, legal=10)]).permitted


def test_a_second_acceptance_that_is_not_legally_later_changes_nothing():
    assert why(ask([accept(1), withdraw(2, legal=5), accept(3, legal=5)])) == ("deny", "withdrawn")
    assert why(ask([accept(1), withdraw(2, legal=5), accept(3, legal=4)])) == ("deny", "withdrawn")


def test_not_asked_module_of_a_later_template_denies_that_policy_alone():
    events = [accept(1), event(2, answer(Answer.NOT_ASKED, policy="matching"), legal=10)]
    assert ask(events).permitted
    assert why(ask(events, purpose(UseKind.HMB, action=Activity.MATCHING))) == ("deny", "not_asked")


def test_no_action_borrows_another_s_consent():
    for action in Activity:
        assert ask([accept(1, "NRES")], purpose(UseKind.HMB, action=action)).permitted is (action is Activity.RESEARCH)


def test_a_declined_policy_leaves_others_alone():
    events = [event(1, answer(Answer.ACCEPTED, "GRU"), answer(Answer.DECLINED, policy="recontact"))]
    assert ask(events).permitted
    assert why(ask(events, purpose(UseKind.HMB, action=Activity.RECONTACT))) == ("deny", "declined")


@pytest.mark.parametrize(
    ("qc", "acceptance", "withdrawal"),
    [(QcState.VALID, "permit", "deny"), (QcState.PENDING, "deny", "deny"), (QcState.INVALID, "deny", "permit")],
)
def test_quality_gate(qc, acceptance, withdrawal):
    assert ask([accept(1, qc=qc)]).outcome == acceptance
    assert ask([accept(1), withdraw(2, legal=5, qc=qc)]).outcome == withdrawal


def test_an_unchecked_consent_says_so():
    assert why(ask([accept(1, qc=QcState.PENDING)])) == ("deny", "consent_not_checked")


@pytest.mark.parametrize(("end", "outcome"), [(NOW, "deny"), (NOW + timedelta(microseconds=1), "permit")])
def test_validity_is_half_open_and_the_shortest_window_wins(end, outcome):
    far = day(90000)
    assert ask([accept(1, valid_to=end)]).outcome == outcome
    assert ask([event(1, answer(Answer.ACCEPTED, "GRU", valid_to=end), valid_to=far)]).outcome == outcome
    assert ask([accept(1, valid_to=far)], rules=Rules(domain=TimeWindow(end=end))).outcome == outcome
    assert ask([accept(1, valid_to=end)], rules=Rules(domain=TimeWindow(end=far))).outcome == outcome


def test_the_release_expires_with_the_first_of_all_ends():
    events = [event(1, answer(Answer.ACCEPTED, "GRU+TS(2026-10-01)", valid_to=day(9000)), valid_to=day(8000))]
    assert ask(events).obligations.expires == datetime(2026, 10, 1, tzinfo=UTC)


def test_a_guardian_s_signature_lapses_at_the_declared_instant():
    event_ = accept(1, signer=SignerRole.GUARDIAN, lapses_at=NOW)
    assert ask([event_], at=NOW - timedelta(microseconds=1)).permitted
    assert why(ask([event_], at=NOW)) == ("deny", "pending_reconsent")


def test_a_guardian_without_a_lapse_date_is_not_trusted():
    assert why(ask([accept(1, signer=SignerRole.GUARDIAN)])) == ("deny", "pending_reconsent")
    assert ask([accept(1, signer=SignerRole.GUARDIAN, on_majority=OnMajority.CONTINUE_UNTIL_OBJECTION)]).permitted


def test_continue_until_objection_ends_with_the_objection():
    first = accept(1, signer=SignerRole.GUARDIAN, on_majority=OnMajority.CONTINUE_UNTIL_OBJECTION)
    assert why(ask([first, event(2, answer(Answer.OBJECTED), legal=50)])) == ("deny", "objected")


@pytest.mark.parametrize("order", list(permutations([0, 1])))
def test_two_guardians_who_disagree_deny_in_either_order(order):
    yes = accept(1, legal=order[0], **GUARDIAN, signer_ref="mother")
    no = event(2, answer(Answer.DECLINED), legal=order[1], signer=SignerRole.GUARDIAN, signer_ref="father")
    assert not ask([yes, no]).permitted


def test_one_guardian_may_change_their_mind_and_the_person_may_overrule_them():
    no = event(1, answer(Answer.DECLINED), signer=SignerRole.GUARDIAN, signer_ref="mother")
    assert ask([no, accept(2, legal=1, **GUARDIAN, signer_ref="mother")]).permitted
    assert why(ask([no, accept(2, legal=1, **GUARDIAN, signer_ref="father")])) == ("deny", "guardians_disagree")
    assert why(ask([no, accept(2, legal=1, **GUARDIAN)])) == ("deny", "guardians_disagree")
    assert ask([no, accept(2, legal=1)]).permitted


def test_an_emancipated_minor_decides_for_themselves():
    events = [accept(1, **GUARDIAN), status(2, Status.EMANCIPATED, legal=5)]
    assert why(ask(events)) == ("deny", "pending_reconsent")
    assert ask([*events, accept(3, legal=6)]).permitted


def test_eighteenth_birthday_at_midnight_local_time():
    berlin = ZoneInfo("Europe/Berlin")
    assert comes_of_age(date(2008, 7, 1), 18, zone=berlin, leap_day=LeapDay.MAR_1) == datetime(2026, 6, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(("rule", "when"), [(LeapDay.FEB_28, (2, 28)), (LeapDay.MAR_1, (3, 1))])
def test_birthday_on_29_february_follows_the_declared_rule(rule, when):
    assert comes_of_age(date(2008, 2, 29), 18, zone=UTC, leap_day=rule) == datetime(2026, *when, tzinfo=UTC)
    assert comes_of_age(date(2008, 2, 29), 20, zone=UTC, leap_day=rule) == datetime(2028, 2, 29, tzinfo=UTC)


def test_months_end_on_the_last_day_the_month_has():
    assert add_months(datetime(2024, 1, 31, tzinfo=UTC), 1) == datetime(2024, 2, 29, tzinfo=UTC)
    assert add_months(datetime(2024, 11, 30, tzinfo=UTC), 3) == datetime(2025, 2, 28, tzinfo=UTC)
    assert add_months(datetime(9990, 1, 1, tzinfo=UTC), 1200).year == 9999


def test_restriction_denies_until_it_is_lifted_later():
    events = [accept(1), status(2, Status.RESTRICTED, legal=5)]
    assert why(ask(events)) == ("deny", "restricted")
    assert not ask([*events, status(3, Status.RESTRICTION_LIFTED, legal=5)]).permitted
    assert not ask([*events, status(3, Status.RESTRICTION_LIFTED, legal=6, qc=QcState.PENDING)]).permitted
    assert ask([*events, status(3, Status.RESTRICTION_LIFTED, legal=6)]).permitted


def test_death_needs_the_person_s_own_word_or_the_next_of_kin_s():
    events = [accept(1), status(2, Status.DECEASED, legal=5)]
    assert why(ask(events)) == ("deny", "deceased")
    assert ask([event(1, answer(Answer.ACCEPTED, "GRU"), answer(Answer.ACCEPTED, policy="use_after_death")), events[1]]).permitted
    kin = event(3, answer(Answer.ACCEPTED, policy="use_after_death"), legal=6, signer=SignerRole.NEXT_OF_KIN)
    assert ask([*events, kin]).permitted


def test_a_next_of_kin_cannot_sign_for_the_living():
    assert not ask([accept(1, signer=SignerRole.NEXT_OF_KIN)]).permitted


def test_loss_of_capacity_waits_for_a_steward():
    events = [accept(1), status(2, Status.CAPACITY_LOST, legal=5)]
    assert why(ask(events)) == ("review", "capacity_lost")
    assert ask([*events, status(3, Status.CAPACITY_REGAINED, legal=6)]).permitted


@pytest.mark.parametrize(
    ("level", "use", "contact"),
    [(Level.NO_CONTACT, True, False), (Level.NO_NEW_USE, False, False), (Level.ERASE, False, False)],
)
def test_levels_of_withdrawal(level, use, contact):
    both = event(1, answer(Answer.ACCEPTED, "GRU"), answer(Answer.ACCEPTED, policy="recontact"))
    events = [both, withdraw(2, legal=5, level=level)]
    assert ask(events).permitted is use
    assert ask(events, purpose(UseKind.HMB, action=Activity.RECONTACT)).permitted is contact


def test_no_new_data_lets_go_of_what_was_gathered_before():
    events = [accept(1), withdraw(2, legal=50, level=Level.NO_NEW_DATA)]
    assert ask(events, data_at=day(49)).permitted
    assert why(ask(events, data_at=day(50))) == ("deny", "no_new_data")
    assert why(ask(events)) == ("review", "data_time_unknown")


def test_a_module_withdrawal_reaches_its_own_question_only():
    signed = event(1, answer(Answer.ACCEPTED, "GRU", module="broad/research_use"))
    assert why(ask([signed, withdraw(2, "module:broad/research_use", legal=5)])) == ("deny", "withdrawn")
    assert ask([signed, withdraw(2, "module:other/research_use", legal=5)]).permitted


@pytest.mark.parametrize("explicit", [True, False])
def test_withdrawing_the_newest_module_brings_nothing_older_back(explicit):
    wide = event(1, answer(Answer.ACCEPTED, "GRU", module="old/use"))
    narrow = event(2, answer(Answer.ACCEPTED, "POA", module="new/use", explicit=explicit), legal=2)
    assert not ask([wide, narrow]).permitted
    gone = withdraw(3, "module:new/use", legal=5)
    assert why(ask([wide, narrow, gone])) == ("deny", "withdrawn")
    again = event(4, answer(Answer.ACCEPTED, "GRU", module="old/use", explicit=True), legal=9)
    assert ask([wide, narrow, gone, again]).permitted


def test_a_withdrawn_module_hides_no_objection_behind_an_older_yes():
    no = event(1, answer(Answer.OBJECTED, module="old/use"))
    named = event(2, answer(Answer.ACCEPTED, "GRU", module="old/use", explicit=True), legal=2)
    bundled = event(3, answer(Answer.ACCEPTED, "GRU", module="new/use", explicit=False), legal=4)
    assert why(ask([no, named, bundled])) == ("deny", "not_named_again")
    assert why(ask([no, named, bundled, withdraw(4, "module:new/use", legal=5)])) == ("deny", "withdrawn")


def test_an_excluded_purpose_needs_to_be_named_to_come_back():
    events = [accept(1), withdraw(2, "purpose:commercial", legal=5), accept(3, legal=9)]
    assert why(ask(events)) == ("deny", "purpose_not_declared")
    assert why(ask(events, purpose(UseKind.HMB, commercial=True))) == ("deny", "purpose_excluded")
    assert ask(events, purpose(UseKind.HMB, commercial=False)).permitted
    named = event(4, answer(Answer.ACCEPTED, policy="purpose:commercial"), legal=10)
    assert ask([*events, named], purpose(UseKind.HMB, commercial=True)).permitted


def test_an_excluded_purpose_with_an_unknown_name_excludes_everything():
    assert why(ask([accept(1), withdraw(2, "purpose:whatever", legal=5)])) == ("deny", "purpose_excluded")


@pytest.mark.parametrize(("who", "permitted"), [("ror:1", False), ("country:DE", False), ("ror:2", True), ("country:FR", True)])
def test_an_excluded_recipient(who, permitted):
    what = purpose(UseKind.HMB, organisation=Organisation(id="ror:1", country="DE"))
    assert ask([accept(1), withdraw(2, f"recipient:{who}", legal=5)], what).permitted is permitted


def test_an_undeclared_recipient_counts_as_the_excluded_one():
    assert not ask([accept(1), withdraw(2, "recipient:ror:9", legal=5)]).permitted


def test_a_locus_withdrawal_masks_and_later_general_consent_does_not_unmask():
    rule = LocusRule(RuleKind.INTERVAL, "", "GRCh38", Interval("19", 100, 200))
    events = [accept(1), withdraw(2, "loci:apoe", legal=5, loci=(rule,)), accept(3, legal=9)]
    decision = ask(events)
    assert decision.permitted
    assert decision.obligations.mask == (rule,)


def test_a_locus_withdrawal_without_places_stays_unresolved_rather_than_unmasked():
    mask = ask([accept(1), withdraw(2, "loci:apoe", legal=5)]).obligations.mask
    assert mask == (LocusRule(RuleKind.CATEGORY, "apoe"),)


def test_material_change_keeps_old_purposes_and_stops_new_ones():
    from policies.consent import FormRef  # noqa: PLC0415 - one use

    signed = accept(1, form=FormRef("broad", "1", "0" * 64))
    rules = Rules(material_changes=(MaterialChange("broad", "2", day(100)),))
    old, new = (purpose(UseKind.HMB, declared_at=day(number)) for number in (99, 100))
    assert ask([signed], old, rules=rules).permitted
    assert why(ask([signed], new, rules=rules)) == ("deny", "material_change")
    assert why(ask([signed], rules=rules)) == ("deny", "material_change")


def test_a_superseded_acceptance_is_gone():
    corrected = event(2, answer(Answer.ACCEPTED, "POA"), legal=0, supersedes="e1")
    assert why(ask([accept(1, "GRU"), corrected])) == ("deny", "ancestry_not_covered")


def test_a_pending_correction_already_stops_the_acceptance():
    assert not ask([accept(1), event(2, supersedes="e1", qc=QcState.PENDING)]).permitted


def test_a_withdrawal_is_undone_only_by_a_checked_and_evidenced_correction():
    events = [accept(1), withdraw(2, legal=5)]
    assert not ask([*events, event(3, legal=6, supersedes="e2")]).permitted
    assert not ask([*events, event(3, legal=6, supersedes="e2", evidence_hash="ab", qc=QcState.PENDING)]).permitted
    undone = [*events, event(3, legal=6, supersedes="e2", evidence_hash="ab")]
    assert ask(undone).permitted
    assert why(ask([*undone, event(4, legal=7, supersedes="e3")])) == ("deny", "withdrawn")


def test_a_withdrawal_that_corrects_a_withdrawal_leaves_both():
    events = [accept(1), withdraw(2, legal=5), withdraw(3, "policy:recontact", legal=6, supersedes="e2", evidence_hash="ab")]
    assert why(ask(events)) == ("deny", "withdrawn")


def test_an_event_cannot_supersede_a_later_one():
    events = [event(1, answer(Answer.NOT_ASKED, policy="matching"), supersedes="e2", evidence_hash="ab"), withdraw(2), accept(3)]
    assert not ask(events).permitted


def test_the_latest_acceptance_in_force_gives_the_terms_and_an_expired_one_gives_way():
    events = [accept(1, "GRU"), accept(2, "POA", legal=5)]
    assert not ask(events).permitted
    assert ask([accept(1, "GRU"), accept(2, "POA", legal=5, valid_to=day(50))]).permitted


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: ConsentEvent("e", 1, datetime(2025, 1, 1), day(0), status=Status.DECEASED), "time_without_zone"),  # noqa: DTZ001
        (lambda: accept(1, valid_from=day(5), valid_to=day(5)), "bad_window"),
        (lambda: event(1, answer(Answer.ACCEPTED), answer(Answer.DECLINED)), "repeated"),
        (lambda: event(1), "empty_event"),
        (lambda: withdraw(1, "policy:Not A Name"), "bad_scope"),
        (lambda: withdraw(1, "all"), "bad_scope"),
        (lambda: event(1, PolicyAnswer("everything:x", Answer.ACCEPTED)), "bad_scope"),
        (lambda: event(1, PolicyAnswer("module:a/b", Answer.ACCEPTED)), "bad_scope"),
        (lambda: event(1, supersedes="e1"), "bad_event"),
        (lambda: fold([accept(1), accept(1)]), "duplicate_event"),
        (lambda: fold([], head=1, known_at=NOW), "two_clocks"),
    ],
)
def test_a_malformed_event_is_refused(make, code):
    with pytest.raises(PolicyInputError) as caught:
        make()
    assert caught.value.code == code


@pytest.mark.parametrize(
    "text", ["everything", "policy:research_use", "module:broad/q", "purpose:commercial", "recipient:country:DE", "loci:x"]
)
def test_scope_keys_round_trip(text):
    assert scope(text).key == text


def test_a_bare_name_and_a_key_are_answers():
    assert answer_scope("research_use").key == "policy:research_use"
    assert answer_scope("loci:apoe").key == "loci:apoe"


def test_a_withdrawal_that_supersedes_a_narrow_acceptance_does_not_bring_back_an_older_wide_one():
    events = [accept(1, "GRU"), accept(2, "POA", legal=5)]
    wrong = withdraw(3, "policy:recontact", legal=6, supersedes="e2", evidence_hash="ab")
    assert not ask(events).permitted
    assert why(ask([*events, wrong])) == ("deny", "invalidated")
    assert ask([*events, wrong, accept(4, "GRU", legal=7)]).permitted


def test_a_withdrawal_that_supersedes_a_no_to_companies_does_not_unask_it():
    unasked = event(2, answer(Answer.NOT_ASKED, policy="purpose:commercial"), legal=1)
    events = [accept(1), unasked]
    assert why(ask([*events, withdraw(3, "policy:recontact", legal=2, supersedes="e2")])) == ("deny", "purpose_not_declared")


def test_rule_set_2_a_later_no_beats_an_earlier_yes_whatever_the_clocks():
    for legal in (-300, 0, 4, 5):
        assert why(ask([accept(1, legal=5, rules=2), withdraw(2, legal=legal, rules=2)])) == ("deny", "withdrawn")
    assert ask([accept(1, legal=5), withdraw(2, legal=4)]).permitted  # recorded before rule set 2
    assert not ask([accept(1, legal=5), withdraw(2, legal=4, rules=2)]).permitted


@pytest.mark.parametrize(
    ("yes", "no", "hours", "outcome"),
    [
        (Precision.INSTANT, Precision.INSTANT, 0, "deny"),
        (Precision.INSTANT, Precision.INSTANT, 1, "permit"),
        (Precision.INSTANT, Precision.DAY, 9, "deny"),
        (Precision.DAY, Precision.INSTANT, 23, "deny"),
        (Precision.DAY, Precision.INSTANT, 24, "permit"),
        (Precision.DAY, Precision.DAY, 22, "deny"),
        (Precision.DAY, Precision.DAY, 23, "permit"),  # the day on which the clocks go forward
    ],
)
def test_rule_set_2_an_acceptance_must_be_later_by_a_day_where_either_is_a_date(yes, no, hours, outcome):
    events = [accept(1, rules=2), withdraw(2, legal=1, rules=2, precision=no)]
    again = accept(3, legal=1 + hours / 24, rules=2, precision=yes)
    assert ask([*events, again]).outcome == outcome


def test_rule_set_2_a_no_of_before_has_the_precision_of_a_date():
    before = [accept(1), withdraw(2, legal=1)]
    assert ask([*before, accept(3, legal=1.5)]).permitted
    assert not ask([*before, accept(3, legal=1.5, rules=2)]).permitted
    assert ask([*before, accept(3, legal=2, rules=2)]).permitted


def test_rule_set_2_a_restriction_beats_an_earlier_lift():
    lifted = event(1, legal=5, status=Status.RESTRICTION_LIFTED, rules=2)
    assert why(ask([lifted, accept(2, rules=2), event(3, legal=2, status=Status.RESTRICTED, rules=2)])) == ("deny", "restricted")


def test_an_event_of_an_unknown_rule_set_is_refused():
    with pytest.raises(PolicyInputError, match="rule set 3"):
        accept(1, rules=3)
    with pytest.raises(PolicyInputError):
        parse_event(dump_event(accept(1, rules=2)).replace('"rules":2', '"rules":3'))


def test_the_rule_set_of_a_decision_is_that_of_its_newest_event():
    assert ask([accept(1)]).rule_set_id == "genovault-rules/1"
    assert ask([accept(1), withdraw(2, rules=2)]).rule_set_id == "genovault-rules/2"
