"""Entries as FHIR R4 AuditEvent resources, one per line (``application/fhir+ndjson``), after IHE BALP 1.1.

An access to genotypes is a Privacy Disclosure (source). By default a resource refers to the set of subjects by its salted digest, as
the leaf does, so the export is as public as the log. By person, an entry becomes one resource for each audit token that it names, with
the final outcome of an access; one that disclosed then claims BALP's profile, which requires the patient. No other profile is claimed:
the others describe RESTful interactions, of which a vault has none (``docs/design/audit-log.md`` §11).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TextIO

from vault.audit.actions import Action, Outcome
from vault.audit.log import AuditLog
from vault.audit.reports.outcomes import ended, is_access, is_intent
from vault.audit.reports.records import Filter, Record, record_of, records
from vault.ids import AuditToken

DCM = "http://dicom.nema.org/resources/ontology/DCM"
EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
DUO = "http://purl.obolibrary.org/obo/duo.owl"
ASSUMED = "assumed"  # outcome of an access that no entry closes
DISCLOSURE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PrivacyDisclosure.Source"
OURS = "https://genovault.example/fhir"  # a namespace, not a location

_OUTCOMES = {
    Outcome.REFUSED.value: "4",
    Outcome.FAILED.value: "8",
    Outcome.ABORTED.value: "8",
}  # codes of audit-event-outcome; others are "0", success
_EXPORTS = (
    *(
        Action.VIEW_INTENT.value,
        Action.VIEW_OUTCOME.value,
        Action.VIEW_READ.value,
        Action.MATCH_INTENT.value,
        Action.MATCH_OUTCOME.value,
    ),
    *(Action.EXTRACT_INTENT.value, Action.EXTRACT_OUTCOME.value),
)
_ACTIONS = {  # last word of an act -> audit-event-action: create, read, update, delete; others E, execute
    "import": "C", "init": "C", "create": "C", "add": "C", "submit": "C", "record": "C",
    "update": "U", "withdraw": "U", "approve": "U", "deny": "U", "suspend": "U", "close": "U", "restrict": "U", "disable": "U",
    "rotate": "U", "restore": "U", "anchor": "U",
    "erase": "D", "remove": "D", "destroy": "D", "destroyed": "D",
    "show": "R", "list": "R", "read": "R", "intent": "R", "outcome": "R", "export": "R", "explain": "R", "coverage": "R",
    "disclosures": "R", "prove": "R", "report": "R",
}  # fmt: skip
_WORDS = {"C": "create", "R": "read", "U": "update", "D": "delete", "E": "operation"}


def export_fhir(
    log: AuditLog, out: TextIO, *, origin: str, by_person: bool = False, start: int = 0, stop: int | None = None
) -> int:
    """Write one AuditEvent per line for each entry that has its payload; returns the number of lines.

    ``by_person``: one for each subject that an entry names, by audit token. ``start``, ``stop``: range of entry numbers.

    Raises:
        IntegrityError: ``audit_set_altered``, ``entry_malformed``.
    """
    written = 0
    for record in records(log, Filter(first=start, stop=stop)):
        if record.act is None:
            continue
        resources = [audit_event(record, origin=origin)]
        if by_person and record.subject_set:
            people = log.subjects_of(bytes.fromhex(record.subject_set), entry=record.index)
            resources = _by_person(_ended(log, record), people, origin=origin)
        for resource in resources:
            out.write(json.dumps(resource, ensure_ascii=False) + "\n")
            written += 1
    return written


def _ended(log: AuditLog, record: Record) -> Record:
    """The record of an intent with its final outcome; ``assumed`` for an access that no entry closes. Other records are unchanged."""
    if not is_intent(record):
        return record
    # The index only finds closing entries; the leaf itself has to refer to this access.
    closing = map(record_of, log.closings([record.event]).get(record.event, []))
    end = ended(record, closing)
    if end is None:
        return replace(record, outcome=ASSUMED) if is_access(record) else record
    return replace(record, outcome=end.outcome)


def _by_person(record: Record, people: Sequence[AuditToken], *, origin: str) -> list[dict[str, Any]]:
    """One resource per subject that the entry names."""
    whole = audit_event(record, origin=origin)
    if record.act in _EXPORTS and record.outcome in {Outcome.DONE.value, ASSUMED}:
        whole["meta"] = {"profile": [DISCLOSURE]}
    others = whole["entity"][:-1]  # the last one is the set of subjects
    return [{**whole, "id": f"{record.event}-{n}", "entity": [*others, _patient(token)]} for n, token in enumerate(people)]


def _patient(token: AuditToken) -> dict[str, Any]:
    """Entity of a subject: a logical reference to a Patient by audit token."""
    return {
        "what": {"type": "Patient", "identifier": {"system": f"{OURS}/audit-token", "value": token}},
        "type": _coding(ENTITY_TYPE, "1", "Person"),
        "role": _coding(OBJECT_ROLE, "1", "Patient"),
    }


def audit_event(record: Record, *, origin: str) -> dict[str, Any]:
    """AuditEvent of an entry. ``origin``: the log's origin line, which names the vault as the source."""
    act = record.act or ""
    action = _ACTIONS.get(act.rpartition(".")[2], "E")
    exported = act in _EXPORTS
    vault = {"display": origin}
    resource: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": record.event,
        "type": _coding(DCM, "110106", "Export") if exported else _coding(EVENT_TYPE, "rest", "RESTful Operation"),
        "subtype": [_subtype(exported=exported, action=action), _coding(f"{OURS}/act", act)],
        "action": action,
        "recorded": record.time,
        "outcome": _OUTCOMES.get(record.outcome or "", "0"),
        "outcomeDesc": record.outcome,
        "agent": [_actor(record, exported=exported), _source(vault)],
        "source": {"site": origin, "observer": vault, "type": [_coding(SOURCE_TYPE, "4", "Application Server")]},
        "entity": _entities(record),
    }
    if record.purpose:
        resource["purposeOfEvent"] = [{"coding": [_coding(DUO, term)]} for term in record.purpose.split(",")]
    return resource


def _subtype(*, exported: bool, action: str) -> dict[str, str]:
    if exported:
        return _coding(LIFECYCLE, "disclose", "Disclose Record Lifecycle Event")
    return _coding(INTERACTION, _WORDS[action])


def _actor(record: Record, *, exported: bool) -> dict[str, Any]:
    """Agent for the actor; for an export it is the destination of the data (DCM 110152)."""
    kind = _coding(DCM, "110152", "Destination Role ID") if exported else _coding(DCM, "110150", "Application")
    agent: dict[str, Any] = {
        "type": {"coding": [kind]},
        "role": [{"coding": [_coding(f"{OURS}/role", record.role or "unknown")]}],
        "who": {"identifier": {"system": f"{OURS}/principal", "value": record.actor}},
        "requestor": True,
        "network": {"address": "localhost", "type": "1"},
    }
    if record.asserted_for:
        agent["altId"] = record.asserted_for
    return agent


def _source(vault: dict[str, str]) -> dict[str, Any]:
    """Agent for the vault, the source of the data (DCM 110153)."""
    return {
        "type": {"coding": [_coding(DCM, "110153", "Source Role ID")]},
        "who": vault,
        "requestor": False,
        "network": {"address": "localhost", "type": "1"},
    }


def _entities(record: Record) -> list[dict[str, Any]]:
    """Entities: the log entry, object, request, project and reasons, and the set of subjects last."""
    found = [_entity("log-entry", str(record.index), "4", "Other", detail=[("leaf_hash", record.leaf_hash)])]
    if record.object:
        kind, _, ref = record.object.partition(":")
        found.append(_entity(kind, ref, "2", "System Object"))
    if record.request:
        found.append(_entity("request", record.request, "2", "System Object"))
    if record.project:
        found.append(_entity("project", record.project, "2", "System Object"))
    if record.reasons:
        found.append(
            _entity("reasons", record.event, "4", "Other", detail=[(code, str(n)) for code, n in record.reasons.items()])
        )
    if record.subject_set:
        counted = [("subjects", str(record.subjects)), *((name, str(n)) for name, n in record.counts.items())]
        people = _entity("subject-set", record.subject_set, "1", "Person", detail=counted)
        people["role"] = _coding(OBJECT_ROLE, "1", "Patient")
        found.append(people)
    return found


def _entity(kind: str, value: str, code: str, display: str, *, detail: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "what": {"identifier": {"system": f"{OURS}/{kind}", "value": value}},
        "type": _coding(ENTITY_TYPE, code, display),
    }
    if detail:
        entity["detail"] = [{"type": name, "valueString": text} for name, text in detail]
    return entity


def _coding(system: str, code: str, display: str | None = None) -> dict[str, str]:
    return {"system": system, "code": code} | ({"display": display} if display else {})
