"""FHIR R4 AuditEvents, judged by HL7's own JSON schema."""

from __future__ import annotations

import gzip
import io
import json

import jsonschema
import pytest

from tests.support.accesses import ENGINE, access, grow
from tests.support.audit_log import ORIGIN, event, tamper, token
from tests.support.outside import shared
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.reports.fhir import DISCLOSURE, audit_event, export_fhir
from vault.audit.reports.records import record_of


def resources(log, **how):
    out = io.StringIO()
    written = export_fhir(log, out, origin=ORIGIN, **how)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(found) == written
    return found


@pytest.fixture(scope="module")
def schema():
    packed = shared("data/5-conformance/fhir_r4_json_schema/schema.json.gz")
    with gzip.open(packed) as file:
        whole = json.load(file)
    # The whole schema tries each of 148 resource types in turn; only one is meant here.
    return jsonschema.Draft6Validator({**whole["definitions"]["AuditEvent"], "definitions": whole["definitions"]})


def test_every_act_is_a_valid_resource(books, schema):
    for act in Action:
        for outcome in Outcome:
            books.log.record(
                event(act, outcome, reasons={"a": 1}, subjects=[token(1)], purpose="DS,HMB", project="demo", request="r")
            )
    found = resources(books.log)
    assert len(found) == len(Action) * len(Outcome)
    problems = [error.message for resource in found for error in schema.iter_errors(resource)]
    assert problems == []


def test_the_schema_does_refuse(books, schema):
    books.log.record(event())
    (resource,) = resources(books.log)
    for broken in ({**resource, "action": "X"}, {**resource, "recorded": "yesterday"}, {**resource, "agent": []} | {"extra": 1}):
        assert list(schema.iter_errors(broken))


def test_an_access_is_an_export_by_its_source_to_its_recipient(books):
    intent = books.log.record(access(ENGINE, "demo", "DS,HMB", "rel-1", [1, 2]))
    resource = audit_event(record_of(books.log.entry(intent.index)), origin=ORIGIN)
    assert resource["type"]["code"] == "110106"
    assert resource["subtype"][0]["code"] == "disclose"
    assert (resource["action"], resource["outcome"]) == ("R", "0")
    assert [agent["type"]["coding"][0]["code"] for agent in resource["agent"]] == ["110152", "110153"]
    assert resource["agent"][1]["who"] == resource["source"]["observer"]
    assert [p["coding"][0]["code"] for p in resource["purposeOfEvent"]] == ["DS", "HMB"]
    assert sum(agent["requestor"] for agent in resource["agent"]) == 1
    people = resource["entity"][-1]
    assert people["type"]["code"] == "1"
    assert {d["type"]: d["valueString"] for d in people["detail"]}["subjects"] == "2"


def coded(parts, code):
    """Entities of type ``code``."""
    return [part for part in parts if code in (part["type"].get("code"), *(c["code"] for c in part["type"].get("coding", [])))]


def test_by_person_a_disclosure_is_what_the_balp_profile_asks_for(books, schema):
    """IHE.BasicAudit.PrivacyDisclosure.Source of BALP 1.1: type, subtype, action, agents and the one patient."""
    granted, failed, _left_open = (books.log.record(access(ENGINE, "demo", "HMB", f"rel-{n}", [n, 9])) for n in (1, 2, 3))
    books.log.record(event(Action.VIEW_OUTCOME, Outcome.DONE, refers=granted.event_id, obj=ObjectRef("release", "rel-1")))
    books.log.record(event(Action.VIEW_OUTCOME, Outcome.FAILED, refers=failed.event_id, obj=ObjectRef("release", "rel-2")))
    books.log.record(event(Action.SUBJECT_SHOW, subjects=[token(4)]))
    books.log.record(event(Action.SUBJECT_LIST))
    found = resources(books.log, by_person=True)
    assert [error.message for resource in found for error in schema.iter_errors(resource)] == []
    assert len({resource["id"] for resource in found}) == len(found) == 10
    claimed = [resource for resource in found if "meta" in resource]
    assert [resource["outcomeDesc"] for resource in claimed] == ["done", "done", "assumed", "assumed"]
    named = []
    for resource in claimed:
        assert resource["meta"]["profile"] == [DISCLOSURE]
        assert (resource["type"]["code"], resource["action"], resource["outcome"]) == ("110106", "R", "0")
        assert "disclose" in [subtype["code"] for subtype in resource["subtype"]]
        (source,), (recipient,) = coded(resource["agent"], "110153"), coded(resource["agent"], "110152")
        assert source["who"] == resource["source"]["observer"]
        assert source["network"] == recipient["network"]
        assert recipient["who"]
        (patient,) = coded(resource["entity"], "1")
        assert (patient["role"]["code"], patient["what"]["type"]) == ("1", "Patient")
        assert len(resource["entity"]) >= 2
        named.append(patient["what"]["identifier"]["value"])
    assert named == [*sorted([token(1), token(9)]), *sorted([token(3), token(9)])]
    assert "subject-set" not in json.dumps(claimed)


@pytest.mark.parametrize(
    ("act", "outcome", "action", "code"),
    [
        (Action.SUBJECT_ERASE, Outcome.DONE, "D", "0"),
        (Action.CONSENT_WITHDRAW, Outcome.DONE, "U", "0"),
        (Action.DATASET_IMPORT, Outcome.FAILED, "C", "8"),
        (Action.VIEW_INTENT, Outcome.REFUSED, "R", "4"),
        (Action.AUDIT_VERIFY, Outcome.DONE, "E", "0"),
    ],
)
def test_actions_and_outcomes(books, act, outcome, action, code):
    books.log.record(event(act, outcome))
    (resource,) = resources(books.log)
    assert (resource["action"], resource["outcome"]) == (action, code)


def test_no_token_is_exported_and_dropped_payloads_are_left_out(books):
    grow(books, days=3)
    tamper(books.path, "UPDATE audit_leaf SET leaf = NULL WHERE idx = 0")
    found = resources(books.log)
    assert len(found) == books.log.size() - 1
    assert "hmac-sha256" not in json.dumps(found)
