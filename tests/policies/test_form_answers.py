import pytest

from policies.consent import Answer
from policies.errors import PolicyInputError
from policies.form_answers import preferences
from policies.forms import parse_form
from tests.support.consenting import form_event, load


def test_preferences_never_enter_the_decision():
    form = parse_form(load("clinical-matching-1"))
    events = [form_event(form, matching="yes", results_carrier=word) for word in ("want", "not want")]
    assert events[0].answers == events[1].answers
    found = preferences(form, {"results_carrier": "not want", "results_drugs": "yes"})
    assert [(item.category, item.value) for item in found] == [
        ("pharmacogenes", "want"),
        ("actionable", "undecided"),
        ("carrier", "not_want"),
    ]


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("YES", Answer.ACCEPTED),
        (" accepted ", Answer.ACCEPTED),
        ("1", Answer.ACCEPTED),
        ("No", Answer.DECLINED),
        ("declined", Answer.DECLINED),
        ("withdrawn", Answer.WITHDRAWN),
        ("objected", Answer.OBJECTED),
        ("invalidated", Answer.INVALIDATED),
    ],
)
def test_words_for_answers(word, answer):
    assert form_event(parse_form(load("broad-research-1")), research_use=word).answers[0].answer is answer


@pytest.mark.parametrize(
    ("answers", "code", "place"),
    [
        ({}, "answer_missing", "research_use"),
        ({"research_use": " "}, "answer_missing", "research_use"),
        ({"research_use": "maybe"}, "unknown_answer", "research_use"),
        ({"research_use": "yes", "other": "yes"}, "unknown_question", "other"),
        ({"research_use": "yes", "recontact": "perhaps"}, "unknown_answer", "recontact"),
    ],
)
def test_bad_answers_are_refused_with_the_question(answers, code, place):
    with pytest.raises(PolicyInputError) as caught:
        form_event(parse_form(load("broad-research-1")), **answers)
    assert (caught.value.code, caught.value.place) == (code, place)


def test_yes_is_not_an_option():
    with pytest.raises(PolicyInputError) as caught:
        form_event(parse_form(load("disease-research-1")), research_use="yes")
    assert caught.value.code == "unknown_answer"
