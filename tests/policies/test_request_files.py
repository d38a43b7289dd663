"""request/1: what parses, what is said of what does not, and that the page, the template and the published schema agree."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from policies.disclosure.view_profiles import ViewField
from policies.errors import PolicyInputError
from policies.purposes import RequestKind
from policies.request_files import AskedField, RequestFile, lint, not_kept, parse_request, request_template
from tests.support.guides import blocks
from tests.support.sources import ROOT

PAGE = {block.file: block.text for block in blocks((ROOT / "docs/formats/request.md").read_text(encoding="utf-8"))}
SCHEMA = Draft202012Validator(json.loads(PAGE["request.schema.json"]))
EXAMPLE = yaml.safe_load(PAGE["request.yaml"])


def places(data):
    return {(problem.place, problem.code) for problem in lint(data)}


def test_the_pages_example_is_read():
    assert parse_request(EXAMPLE) == RequestFile(
        "lipids",
        "cohort",
        RequestKind.RECORDS,
        ("22:19.9M-20M", "10:94781859"),
        ("CYP2C9",),
        "pgx",
        (AskedField.GENOTYPES,),
        "rita",
        "Variants that change how lipid-lowering drugs work",
    )
    SCHEMA.validate(EXAMPLE)


def test_the_template_lints():
    data = yaml.safe_load(request_template("lipids", "wgs.2026"))
    assert lint(data) == ()
    SCHEMA.validate(data)
    for project, dataset in (("X", "d"), ("demo", "a b")):
        with pytest.raises(PolicyInputError):
            request_template(project, dataset)


def test_every_fault_is_named_with_its_place():
    bad = {
        "format": "request/9",
        "project": "De Mo",
        "dataset": 7,
        "kind": "everything",
        "loci": {"regions": ["22", "22:9-1"], "genes": "BRCA1", "panel": "a b", "more": 1},
        "fields": ["genotypes", "names"],
        "for": "rita rose",
        "extra": 1,
    }
    assert places(bad) == {
        ("format", "not_a_choice"),
        ("project", "bad_code"),
        ("dataset", "not_text"),
        ("kind", "not_a_choice"),
        ("loci.regions[1]", "bad_region"),
        ("loci.genes", "not_a_list"),
        ("loci.panel", "bad_name"),
        ("loci.more", "unknown_field"),
        ("fields[1]", "not_a_choice"),
        ("for", "bad_name"),
        ("reason", "missing"),
        ("extra", "unknown_field"),
    }
    with pytest.raises(PolicyInputError):
        parse_request(bad)


@pytest.mark.parametrize(
    ("loci", "code"), [(None, "missing"), ({}, "empty"), ({"regions": []}, "empty"), ("everything", "not_a_mapping")]
)
def test_the_whole_dataset_is_never_meant_by_leaving_the_loci_out(loci, code):
    assert places({**EXAMPLE, "loci": loci}) == {("loci", code)}
    assert not SCHEMA.is_valid({**EXAMPLE, "loci": loci})
    assert parse_request({**EXAMPLE, "loci": "all"}).regions == ()


COUNTED = {name: value for name, value in EXAMPLE.items() if name not in ("loci", "fields")}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (
            {"kind": "counts", "loci": {"alleles": ["22:100:A:G"]}, "epsilon": 0.25},
            {"alleles": ("22:100:A:G",), "epsilon": 250_000},
        ),
        ({"kind": "presence", "loci": {"panel": "pgx"}, "accuracy": 0}, {"panel": "pgx", "accuracy": 0}),
        ({"kind": "frequencies", "loci": {"panel": "pgx"}}, {"panel": "pgx"}),
    ],
)
def test_numbers_are_asked_for(asked, found):
    file = parse_request({**COUNTED, **asked})
    assert (file.kind, file.fields) == (RequestKind(asked["kind"]), ())
    assert {name: getattr(file, name) for name in found} == found
    assert parse_request(file.as_dict()) == file
    SCHEMA.validate({**COUNTED, **asked})
    SCHEMA.validate(file.as_dict())


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"kind": "counts", "loci": "all"}, ("loci", "missing")),
        ({"kind": "counts", "loci": {}}, ("loci", "empty")),
        ({"kind": "counts", "loci": {"regions": ["22"]}}, ("loci.regions", "unknown_field")),
        ({"kind": "counts", "loci": {"alleles": ["22:1:A"]}}, ("loci.alleles[0]", "bad_allele")),
        ({"kind": "counts", "loci": {"alleles": ["22:1:A:G"], "panel": "pgx"}}, ("loci.panel", "contradiction")),
        ({"kind": "counts", "loci": {"panel": "pgx"}, "fields": ["genotypes"]}, ("fields", "unused")),
        ({"kind": "counts", "loci": {"panel": "pgx"}, "epsilon": 9}, ("epsilon", "not_a_number")),
        ({"kind": "counts", "loci": {"panel": "pgx"}, "epsilon": 1, "accuracy": 9}, ("accuracy", "contradiction")),
        ({"kind": "frequencies", "loci": {"alleles": ["22:1:A:G"], "panel": "pgx"}}, ("loci.alleles", "unknown_field")),
        ({"kind": "frequencies", "loci": {"panel": "pgx"}, "accuracy": 9}, ("accuracy", "unused")),
        ({"kind": "records", "loci": {"alleles": ["22:1:A:G"], "panel": "pgx"}}, ("loci.alleles", "unknown_field")),
        ({"kind": "matching", "loci": {"panel": "pgx"}}, ("kind", "kind_not_served")),
    ],
)
def test_each_kind_has_loci_of_its_own(asked, fault):
    assert fault in places({**COUNTED, **asked})


@pytest.mark.parametrize("data", [None, [], "x", 1, {1: 2}])
def test_what_is_no_mapping(data):
    assert lint(data)


def test_fields_that_a_project_leaves_out():
    asked = (AskedField.GENOTYPES, AskedField.PHASE, AskedField.IDS)
    assert not_kept(asked, (ViewField.GT,)) == (AskedField.PHASE, AskedField.IDS)
    assert not_kept(asked, (ViewField.GT, ViewField.ID, ViewField.PHASE)) == ()


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
FILES = st.builds(
    RequestFile,
    project=st.from_regex(r"[a-z][a-z0-9]{1,19}", fullmatch=True),
    dataset=names,
    regions=st.lists(st.builds("{}:{}".format, st.integers(1, 22), st.integers(1, 10**8)), max_size=3, unique=True).map(tuple),
    genes=st.lists(st.sampled_from(["BRCA1", "CYP2C9", "COMT"]), max_size=3, unique=True).map(tuple),
    panel=st.none() | names,
    fields=st.just((AskedField.GENOTYPES, AskedField.PHASE)),
    person=st.just("") | names,
    reason=st.text(st.characters(categories=["L", "Nd"]), min_size=1),
)


@given(FILES)
def test_what_is_written_is_read_again(file):
    written = file.as_dict()
    assert parse_request(written) == file
    assert parse_request(json.loads(json.dumps(written))).digest() == file.digest()
    SCHEMA.validate(written)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda one: st.lists(one) | st.dictionaries(st.sampled_from([*EXAMPLE, *EXAMPLE["loci"], "x"]), one),
    )
)
def test_whatever_is_handed_in_is_judged(data):
    for given_in in (data, {**EXAMPLE, "loci": data}):
        if not lint(given_in):
            parse_request(given_in)
