"""Request files that are imported, and answers that are signed: what they say of each state, and that no byte of them changes."""

from __future__ import annotations

import pytest

from tests.support import vaults
from vault import gate
from vault.access import projects, request_files, requests
from vault.audit.entry import decode_leaf
from vault.crypto.keystore import Role
from vault.errors import InputError, IntegrityError, RefusedError
from vault.extracts.verification import key_fingerprint
from vault.session import principals

FILE = {
    "format": "request/1",
    "project": "demo",
    "dataset": "cohort",
    "loci": {"regions": ["22:1-1200"], "panel": "pgx"},
    "reason": "canary of a reason",
}


def code_of(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def answered(s, request):
    keys = [key_fingerprint(public) for public in s.release_keys().values()]
    return request_files.ANSWER.verify(request_files.answer(s, request), keys)


def test_a_file_is_submitted_as_it_says(s):
    principals.add(s, "matcher", Role.RESEARCHER, None)
    made = request_files.take_in(s, FILE, person="matcher")
    spec = made.spec
    assert (spec.regions, spec.panel, spec.panel_version, spec.submitted_for) == (("22:1-1200",), "pgx", 1, "matcher")
    assert (spec.fields, spec.reason, len(spec.file_sha256)) == (("genotypes",), "canary of a reason", 64)
    assert requests.load(s, made.request_id) == made
    entry = list(s.trail.log.entries())[-1]
    leaf, detail = decode_leaf(entry.leaf), s.trail.detail(entry.index)
    assert (leaf["act"], leaf["flags"], leaf["actor"]["for"]) == ("request.submit", ["unsigned_file"], "matcher")
    assert (detail["file"], detail["reason"]) == (spec.file_sha256, "canary of a reason")
    assert b"canary" not in entry.leaf


def test_it_is_imported_once_while_it_stands(s):
    made = request_files.take_in(s, FILE)
    assert code_of(InputError, lambda: request_files.take_in(s, FILE)) == "request_repeated"
    requests.withdraw(s, made.request_id, "x")
    assert request_files.take_in(s, FILE).state == "approved"


@pytest.mark.parametrize(
    ("changed", "person", "kind", "code"),
    [
        ({"project": "nosuch"}, None, InputError, "project_unknown"),
        ({"dataset": "nosuch"}, None, InputError, "dataset_unknown"),
        ({"loci": {"panel": "nosuch"}}, None, InputError, "panel_unknown"),
        ({"fields": ["genotypes", "ids"]}, None, RefusedError, "outside_project"),
        ({"for": "matcher"}, "engine", InputError, "person_differs"),
        ({"for": "matcher"}, None, InputError, "principal_unknown"),
        ({"loci": None}, None, InputError, "document_rejected"),
    ],
)
def test_what_does_not_fit_is_refused_and_logged(s, changed, person, kind, code):
    assert code_of(kind, lambda: request_files.take_in(s, {**FILE, **changed}, person=person)) == code
    leaf = decode_leaf(list(s.trail.log.entries())[-1].leaf)
    assert (leaf["act"], leaf["reasons"]) == ("request.submit", {code: 1})


def test_an_answer_tells_each_state_and_no_reason_of_a_steward(s, tmp_path):
    vaults.approve(s, "each", "cohort", approval="each")
    made = request_files.take_in(s, {**FILE, "project": "each"})
    said = answered(s, made.request_id)
    assert (said["state"], said["reason"], said["granted"], said["decided_by"]) == ("submitted", "request_submitted", {}, "")
    assert said["file_sha256"] == made.spec.file_sha256
    requests.approve(s, made.request_id)
    said = answered(s, made.request_id)
    assert (said["state"], said["reason"], said["decided_by"], said["approval"]) == ("approved", "", "ann", "each")
    assert said["granted"] == {
        "regions": ["22:1-1200"],
        "genes": [],
        "panel": "pgx",
        "panel_version": 1,
        "fields": ["genotypes", "phase"],
    }
    release = gate.extract(s, made.request_id, tmp_path / "out")
    said = answered(s, made.request_id)
    assert [one["release"] for one in said["releases"]] == [release.release_id]
    assert {duty["code"] for duty in said["obligations"]} >= {"NRI", "NRL"}
    projects.change(s, "each", "suspend")
    assert (answered(s, made.request_id)["reason"], answered(s, made.request_id)["granted"]) == ("project_not_approved", {})
    requests.deny(s, made.request_id, "canary of a denial")
    signed = request_files.answer(s, made.request_id)
    assert b"canary" not in signed
    assert answered(s, made.request_id)["reason"] == "request_denied"
    assert decode_leaf(list(s.trail.log.entries())[-1].leaf)["act"] == "request.answer"


def test_no_byte_of_an_answer_changes(s):
    signed = request_files.answer(s, vaults.ask(s))
    keys = [key_fingerprint(public) for public in s.release_keys().values()]
    assert request_files.ANSWER.verify(signed, keys)["state"] == "approved"
    codes = {
        code_of(IntegrityError, lambda data=data: request_files.ANSWER.verify(data, keys))
        for data in (
            signed[:-1],
            signed + b"\n",
            b"",
            signed.replace(b'"approved"', b'"released"'),
            b"[]\n",
            signed.replace(b"answer", b"notice"),
        )
    }
    assert codes <= {"answer_malformed", "answer_signature"}
    for at in range(0, len(signed), 7):
        changed = signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :]
        assert code_of(IntegrityError, lambda data=changed: request_files.ANSWER.verify(data, keys)).startswith("answer_")
    assert code_of(IntegrityError, lambda: request_files.ANSWER.verify(signed, ["0" * 64])) == "answer_key"
