"""Request files that stewards import, and the signed answers that go back (``docs/formats/request.md``).

A file is unsigned: that its writer asked is the word of the steward who imports it, and the log says so. An answer tells what a researcher
may know: state, who decided, a reason's code and never its words, what was granted and what is owed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from policies import request_files
from policies.disclosure import nats
from policies.request_files import AskedField, RequestFile
from vault.access import projects, releases, requests, view_profiles
from vault.access.disclosure import questions
from vault.access.projects import Project
from vault.access.request_records import APPROVED, RELEASED, SUBMITTED, Request, Spec
from vault.audit.actions import Action, Outcome
from vault.errors import InputError, RefusedError
from vault.extracts.signed_file import SignedFile
from vault.files.yaml_documents import declared
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.timestamps import rfc3339

ANSWER = SignedFile(
    "answer",
    frozenset(
        {
            "request", "project", "dataset", "kind", "for", "file_sha256", "asked", "state", "reason", "decided_by", "approval", "granted",
            "commitments", "obligations", "releases", "expires", "made",
        }
    ),
)  # fmt: skip
"""answer/1"""


def take_in(vault: UnlockedVault, document: Mapping[str, Any], *, person: str | None = None) -> Request:
    """Submit what a request file asks for. ``person``: whom it is for, where the file does not say.

    Raises:
        InputError: ``document_rejected``; ``person_differs``: the file names another; ``request_repeated``: this file waits or was
            approved already. RefusedError: ``outside_project``: fields that the project leaves out. As ``requests.submit``.
    """
    with vault.trail.attempting(Action.REQUEST_SUBMIT):
        asked = declared(lambda: request_files.parse_request(document), name="the request")
        if person and asked.person and person != asked.person:
            raise InputError("person_differs", f"the file is for {asked.person}, not for {person}", hint="leave --for out")
        digest = asked.digest()
        for one in requests.list_visible(vault):
            if one.spec.file_sha256 == digest and one.state in (SUBMITTED, APPROVED):
                message = f"this file was imported already, as request {one.request_id}, which is {one.state}"
                raise InputError("request_repeated", message, hint="change the file, or withdraw that request")
        _require_fields(vault, projects.load(vault, asked.project), asked)
        said = None if asked.epsilon is None else nats.text(asked.epsilon)
        epsilon = questions.accuracy(epsilon=said, within=asked.accuracy)
    spec = Spec(
        regions=asked.regions,
        panel=asked.panel,
        genes=asked.genes,
        alleles=asked.alleles,
        epsilon=epsilon,
        submitted_for=person or asked.person or None,
        fields=tuple(map(str, asked.fields)),
        reason=asked.reason,
        file_sha256=digest,
    )
    return requests.submit(vault, asked.project, asked.dataset, kind=asked.kind, spec=spec)


def answer(vault: UnlockedVault, request_id: str) -> bytes:
    """answer/1 of a request as it stands now, signed with the release key.

    Raises:
        InputError: ``request_unknown``. UnavailableError: ``branch_closed``.
    """
    with vault.trail.attempting(Action.REQUEST_ANSWER, request=request_id):
        request = requests.load(vault, request_id)
        project = projects.load(vault, request.project)
        said = _said(vault, request, project)
        signed = ANSWER.sign(said, vault.trail.origin, vault.release_signer())
        vault.trail.record(
            Action.REQUEST_ANSWER, Outcome.DONE, project=request.project, request=request_id, detail={"state": request.state}
        )
    return signed


def _require_fields(vault: UnlockedVault, project: Project, asked: RequestFile) -> None:
    left_out = request_files.not_kept(asked.fields, view_profiles.fields(vault, project.declaration))
    if left_out:
        message = f"project {project.code} keeps no {' and no '.join(left_out)}, which the file asks for"
        raise RefusedError("outside_project", message, hint="leave it out, or amend the project's disclosure")


def _said(vault: UnlockedVault, request: Request, project: Project) -> dict[str, Any]:
    spec, good = request.spec, request.state in (APPROVED, RELEASED)
    granted = good and request.approved_by is not None and project.state == projects.APPROVED
    panel = {"panel": spec.panel, "panel_version": spec.panel_version}
    counted: dict[str, Any] = {"alleles": list(spec.alleles), "epsilon": nats.text(spec.epsilon), **panel}
    if spec.nats:
        counted = {"nats": nats.text(spec.nats), **panel}
    numbers = spec.price is not None or spec.nats > 0
    loci = counted if numbers else {"regions": list(spec.regions), "genes": list(spec.genes), **panel}
    left = [
        one
        for one in releases.list_all(vault)
        if one.request_id == request.request_id and one.state in (releases.RELEASED, releases.COMMITTED)
    ]
    owed = json.loads(left[0].content.manifest)["manifest"]["obligations"] if left and left[0].content.manifest else []
    shown = view_profiles.fields(vault, project.declaration)
    kept = [field.value for field in AskedField if not request_files.not_kept((field,), shown)]
    return {
        "request": request.request_id,
        "project": request.project,
        "dataset": request.dataset,
        "kind": request.kind.value,
        "for": spec.submitted_for or "",
        "file_sha256": spec.file_sha256,
        "asked": loci,
        "state": request.state,
        "reason": "" if granted else "project_not_approved" if good else f"request_{request.state}",
        "decided_by": request.approved_by or "" if granted else "",
        "approval": project.declaration.approval.value,
        "granted": {} if not granted else loci if numbers else {**loci, "fields": kept},
        "commitments": [str(one) for one in project.declaration.purpose.commitments],
        "obligations": owed,
        "releases": [{"release": one.release_id, "made": one.created} for one in left],
        "expires": request.expires or "",
        "made": rfc3339(vault.clock()),
    }
