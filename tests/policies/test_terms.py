import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import PolicyInputError
from policies.loci import LocusRule, RuleKind
from policies.terms import Alternative, Modifier, Terms, parse, parse_expression


def test_expressions():
    assert parse_expression("HMB + NPU") == Terms.from_alternatives(Alternative("HMB", modifiers=(Modifier("NPU"),)))
    assert parse_expression("ds(MONDO:0004992)+gs( de ,FR)") == Terms.from_alternatives(
        Alternative("DS", ("MONDO:0004992",), (Modifier("GS", ("DE", "FR")),))
    )
    assert parse_expression("GRU | HMB").text() == parse_expression("HMB|GRU").text()
    assert parse_expression("DUO_0000042").alternatives[0].permission == "GRU"


@pytest.mark.parametrize("text", ["GRU" + " " * 100_000 + "!", "GRU" + "\n" * 100_000 + "(", " " * 100_000 + "("])
def test_a_long_expression_is_refused_in_linear_time(text):
    before = time.process_time()
    with pytest.raises(PolicyInputError) as caught:
        parse_expression(text)
    assert caught.value.code == "bad_expression"
    assert time.process_time() - before < 5  # each blank tried with each other takes minutes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_expression"),
        ("GRU +", "bad_expression"),
        ("GRU HMB", "bad_expression"),
        ("GRU + HMB", "bad_expression"),
        ("NPU", "bad_expression"),
        ("GRU | ", "bad_expression"),
        ("GRU(x", "bad_expression"),
        ("GRU+NPU+NPU", "repeated"),
        ("WXYZ", "unknown_code"),
        ("DUO:0000005", "obsolete_code"),
        ("DS", "parameter_missing"),
        ("DS()", "parameter_missing"),
        ("GRU+GS", "parameter_missing"),
        ("GRU(x)", "parameter_not_taken"),
        ("GRU+NPU(x)", "parameter_not_taken"),
        ("DS(cancer)", "bad_disease"),
        ("GRU+GS(Germany)", "bad_country"),
        ("GRU+GS(DE,)", "bad_parameter"),
        ("GRU+TS(0)", "bad_parameter"),
        ("GRU+TS(99999999999999)", "bad_parameter"),
        ("GRU+TS(12,24)", "bad_parameter"),
        ("GRU+TS(soon)", "bad_date"),
        ("GRU+MOR(12)", "bad_date"),
        ("GRU+MOR(20270131)", "bad_date"),
        ("|".join(["GRU"] * 51), "too_many"),
    ],
)
def test_bad_expressions(text, code):
    with pytest.raises(PolicyInputError) as caught:
        parse_expression(text, place="answer")
    assert (caught.value.code, caught.value.place) == (code, "answer")


full = st.builds(
    Alternative,
    permission=st.sampled_from(["GRU", "DS", "ODD"]),
    diseases=st.lists(st.sampled_from(["MONDO:1", "MONDO:2"])).map(tuple),
    modifiers=st.lists(
        st.builds(Modifier, st.sampled_from(["NPU", "GS", "ODD"]), st.lists(st.sampled_from(["DE", "FR"])).map(tuple))
    ).map(tuple),
    data_classes=st.lists(st.sampled_from(["genotypes", "phenotypes"])).map(tuple),
    only=st.just((LocusRule(RuleKind.GENE, "APOE"),)),
    obligations=st.lists(st.sampled_from(["watermark", "odd"])).map(tuple),
)


@given(st.lists(full, max_size=4))
def test_stored_terms_come_back_whatever_their_order_and_codes(alternatives):
    terms = Terms.from_alternatives(*alternatives)
    assert parse(terms.text()) == terms == Terms.from_alternatives(*reversed(alternatives))
    assert parse(terms.text()).digest() == terms.digest()


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '[{"permission":"GRU","extra":1}]', '[{"permission":"GRU","permission":"HMB"}]', "[1.5]", "[NaN]"]
)
def test_stored_terms_are_read_strictly(text):
    with pytest.raises(PolicyInputError):
        parse(text)


@given(st.text(max_size=40))
def test_no_text_breaks_the_expression_reader(text):
    try:
        parse_expression(text)
    except PolicyInputError as error:
        assert error.code
