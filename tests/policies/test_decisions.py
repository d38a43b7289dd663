"""Combining alternatives (docs/design/consent.md §9.3), cohorts, duties of a release, and golden decisions byte for byte."""

from dataclasses import replace
from pathlib import Path

import pytest

from policies import obligations, reasons
from policies.consent import Answer, Status
from policies.decisions import HAS_SATISFIED_POLICY, NOT_APPLICABLE
from policies.loci import Interval, LocusRule, RuleKind
from policies.obligations import Obligations, merge, not_understood
from policies.purposes import Commitment, Organisation, UseKind
from policies.rules import DEFAULT, Rules
from policies.states import fold
from policies.term_matching import Effect
from policies.terms import Alternative, Modifier, Terms, parse_expression
from tests.support.consenting import CANCER, HMB, LUNG, accept, answer, ask, day, event, purpose, state_of, withdraw

GOLDEN = Path(__file__).parent / "golden_decisions.jsonl"
APOE = LocusRule(RuleKind.GENE, "APOE")
PANEL = LocusRule(RuleKind.INTERVAL, "", "GRCh38", Interval("10", 94_700_000, 94_900_000))


def test_one_alternative_is_used_and_its_scope_keeps_its_duties():
    wide = Alternative("GRU", modifiers=(Modifier("RTN"),))
    narrow = Alternative("GRU", only=(PANEL,))
    promised = purpose(UseKind.HMB, commitments=(Commitment.NO_REID, Commitment.RETURN_RESULTS))
    both = state_of(Terms.from_alternatives(wide, narrow))
    for what in (HMB, promised):
        duties = ask(both, what).obligations
        assert (duties.only == ()) == duties.return_derived, "never the wide scope without its duty"


def test_the_least_obliging_alternative_is_preferred():
    terms = parse_expression("GRU+RTN | HMB")
    promised = purpose(UseKind.HMB, commitments=tuple(Commitment))
    decision = ask(state_of(terms), promised)
    assert terms.alternatives[decision.alternative].permission == "HMB"
    assert not decision.obligations.return_derived


def test_a_review_alternative_does_not_hide_a_permitting_one_and_beats_a_denying_one():
    assert ask([accept(1, "HMB+NPU | HMB+CC")]).permitted
    assert ask([accept(1, "HMB+NPU | POA")]).outcome is Effect.REVIEW
    assert ask([accept(1, f"DS({CANCER}) | POA")]).outcome is Effect.DENY


def test_an_alternative_whose_duty_cannot_be_kept_gives_way():
    odd = Alternative("GRU", obligations=("burn_after_reading",))
    assert ask(state_of(Terms.from_alternatives(odd, Alternative("HMB", modifiers=(Modifier("NMDS"),))))).permitted


def test_all_reasons_of_the_nearest_alternative_are_given():
    decision = ask([accept(1, "HMB+NMDS+NPU")], purpose(UseKind.GENERAL, UseKind.METHODS, commitments=()))
    codes = [reason.code for reason in decision.reasons]
    assert codes == ["purpose_too_wide", "prohibited", "commitment_missing", "methods_need_ruling", "purpose_incomplete"]


def test_data_classes_must_be_covered():
    state = state_of(Terms.from_alternatives(Alternative("GRU", data_classes=("genotypes",))))
    assert ask(state, purpose(UseKind.HMB, data_classes=("genotypes", "phenotypes"))).reasons[0].code == "data_class_not_covered"
    assert ask([accept(1)], purpose(UseKind.HMB, data_classes=("phenotypes",))).outcome is Effect.DENY


def test_an_acceptance_without_terms_permits_nothing():
    assert ask([event(1, answer(Answer.ACCEPTED))]).reasons[0].code == "no_terms"


def test_evidence_says_what_each_event_did():
    decision = ask([accept(1, valid_to=day(1)), accept(2, legal=5)])
    assert [item.outcome for item in decision.evidence] == [NOT_APPLICABLE, HAS_SATISFIED_POLICY]


def test_duties_add_up_to_the_strictest():
    first = Obligations(mask=(APOE,), only=((PANEL,),), min_group=5, expires=day(9), max_bits=10, publish=True)
    second = Obligations(min_group=20, expires=day(3), max_bits=90, watermark=True, unknown=("x",))
    total = merge([first, second])
    assert total == merge([second, first])
    assert (total.mask, total.only, total.min_group, total.max_bits, total.expires) == ((APOE,), ((PANEL,),), 20, 10, day(3))
    assert total.publish
    assert total.watermark
    assert not_understood(total, obligations.UNDERSTOOD) == ("x",)
    assert merge([]) == Obligations()


def test_the_site_s_settings_are_duties_and_change_the_pack_hash():
    rules = Rules(min_group=20, max_bits=10)
    assert ask([accept(1)], rules=rules).obligations.min_group == 20
    assert rules.pack_sha256() != DEFAULT.pack_sha256()


def test_every_reason_has_words_and_every_word_a_reason():
    codes = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str) and name != "UNIFORM"}
    assert codes == set(reasons.WORDS)


def test_no_decision_names_a_subject_or_a_signer():
    text = ask([accept(1, signer_ref="canary-signer", recorded_by="canary-clerk")]).explain()
    assert "canary" not in text


def golden() -> list[str]:
    """Decisions whose bytes are pinned: any change here is a change of the rule set and needs a new id."""
    whole = purpose(
        UseKind.DISEASE,
        diseases=(LUNG,),
        commitments=tuple(Commitment),
        commercial=False,
        organisation=Organisation(id="ror:1", country="DE"),
        irb_ref="1/25",
        irb_expires=day(5000),
        rulings=("GS", "IRB", "MOR"),
    )
    rich = accept(1, f"DS({CANCER})+GS(DE,FR)+IRB+MOR(2027-01-31)+TS(60) | POA", valid_to=day(900))
    masked = withdraw(2, "loci:apoe", legal=3, loci=(APOE, PANEL))
    cases = [
        ask([]),
        ask([accept(1)]),
        ask([accept(1), withdraw(2, legal=3)]),
        ask([rich, masked], whole),
        ask([rich, masked], replace(whole, rulings=(), commitments=())),
        ask([rich, masked], whole, ontology=None),
        ask(fold([accept(1), withdraw(2, legal=30)], known_at=day(20)), at=day(20)),
        ask(
            [accept(1, "GRU+CC"), event(2, answer(Answer.DECLINED, policy="recontact"), legal=1)], purpose(UseKind.CLINICAL_CARE)
        ),
    ]
    return [case.explain() for case in cases]


def test_golden_decisions_are_byte_identical():
    assert GOLDEN.read_bytes() == "".join(line + "\n" for line in golden()).encode()


@pytest.mark.parametrize("line", range(8))
def test_golden_decisions_are_what_the_rules_say(line):
    expected = ["deny", "permit", "deny", "permit", "deny", "review", "permit", "permit"]
    assert f'"decision":"{expected[line]}"' in golden()[line]


def test_the_documentation_lists_every_reason():
    page = (Path(__file__).parents[2] / "docs" / "consent.md").read_text(encoding="utf-8")
    for code, words in reasons.WORDS.items():
        assert f"| `{code}` | {words} |" in page


def test_the_strongest_reason_comes_first_and_none_is_left_out():
    no_companies = withdraw(2, "purpose:commercial", legal=1)
    everything = ask([accept(1), no_companies, withdraw(3, legal=5)], purpose(UseKind.HMB, commercial=True))
    assert [reason.code for reason in everything.reasons] == ["withdrawn", "purpose_excluded"]
    dead = event(4, status=Status.DECEASED)
    assert [r.code for r in ask([accept(1), no_companies, withdraw(3, legal=5), dead]).reasons] == [
        "withdrawn",
        "deceased",
        "purpose_not_declared",
    ]


def test_what_the_project_leaves_out_is_said_so_that_it_can_be_declared():
    undeclared = ask([accept(1), withdraw(2, "purpose:commercial", legal=1)])
    assert "the project does not declare whether it is commercial" in undeclared.reasons[0].words()
    assert "commercial: true or false" in ask([accept(1, "GRU+NCU")]).reasons[0].words()
    abroad = ask([accept(1), withdraw(2, "recipient:country:US", legal=1)])
    assert (abroad.reasons[0].code, abroad.reasons[0].about) == ("recipient_not_declared", "country")
    assert "organisation: country" in abroad.reasons[0].words()
    assert all(code in reasons.WORDS for code in reasons.UNDECLARED)
