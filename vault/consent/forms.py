"""Consent forms of a vault: those shipped with the program, and those already answered or added, kept unchanged."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from sqlalchemy import select

from policies import forms
from policies.consent import RESEARCH_USE
from policies.forms import Form
from policies.purposes import ASKED
from policies.rules import MaterialChange, Rules
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.consent import ledger
from vault.consent.known_places import require_known
from vault.crypto.primitives import sha256
from vault.errors import InputError, IntegrityError
from vault.files.yaml_documents import declared, parse_yaml
from vault.session.caches import Cache
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import FormRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

PARSED_FORMS: Cache[dict[bytes, Form]] = Cache(dict)  # by digest of the text
POLICY_UNASKED = "policy_unasked"
RESERVED = frozenset({"subject", "legal_time", "signer", "signed_by", "evidence", "channel", "qc"})
"""Names that no question may have, because they are columns of every sheet of answers."""


def shipped() -> list[tuple[Form, str]]:
    """Forms that come with genovault, with their text, by name and version."""
    folder = resources.files("policies") / "packs" / "forms"
    texts = [item.read_text(encoding="utf-8") for item in folder.iterdir() if item.name.endswith(".yaml")]
    return sorted(((_parsed(text), text) for text in texts), key=lambda pair: (pair[0].id, pair[0].version))


def find(vault: UnlockedVault, name: str) -> tuple[Form, str]:
    """Find the form "NAME" (newest version) or "NAME@VERSION", with its text; a stored form wins over a shipped one.

    Raises:
        InputError: ``form_unknown``.
    """
    wanted, _, version = name.partition("@")
    with vault.books.read() as tx:
        stored = [(_parsed_row(row), row.body) for row in tx.scalars(select(FormRow).where(FormRow.form_id == wanted))]
    known = {form.version: (form, text) for form, text in [*shipped(), *stored] if form.id == wanted}
    if not known or (version and version not in known):
        raise InputError("form_unknown", f"there is no consent form {name}", hint="genovault consent forms")
    return known[version] if version else known[max(known, key=_by_number)]


def list_all(vault: UnlockedVault) -> list[Form]:
    """All shipped and stored forms, by name and version."""
    with vault.books.read() as tx:
        stored = [_parsed_row(row) for row in tx.scalars(select(FormRow))]
    known = {(form.id, form.version): form for form in [*(form for form, _ in shipped()), *stored]}
    return [known[key] for key in sorted(known)]


def parse(text: str, *, accept: str | None = None) -> Form:
    """Parse a form in YAML. ``accept``: ``POLICY_UNASKED``, a policy that no project asks for is meant.

    Raises:
        InputError: ``document_too_large``, ``document_malformed`` with the line; ``document_rejected`` with every place;
            ``policy_unasked``: a question grants nothing that any project can ask for.
    """
    form = _parsed(text)
    clashes = [question.id for question in form.questions if question.id in RESERVED]
    if clashes:
        names = ", ".join(clashes)
        raise InputError("document_rejected", f"the form: a question cannot be called {names}: a sheet has such a column")
    unasked = form.unasked()
    if unasked and accept != POLICY_UNASKED:
        named = "; ".join(f"question {question} grants {policy}" for question, policy in unasked)
        raise InputError(
            POLICY_UNASKED,
            f"the form: {named}, which no project asks for: a yes would count for nothing",
            hint=f"policies: [{RESEARCH_USE}] says what the question grants (or {', '.join(sorted(ASKED - {RESEARCH_USE}))}); "
            f"--accept {POLICY_UNASKED} if it is meant",
        )
    return form


def add(vault: UnlockedVault, text: str, *, accept: str | None = None) -> Form:
    """Store a site's own form. A stored version never changes: another wording is another version. ``accept``: as ``parse``.

    Raises:
        InputError: as ``parse``; ``place_unknown``; ``form_exists``: that version is held with other words or another meaning.
    """
    with vault.trail.attempting(Action.CONSENT_FORM):
        form = parse(text, accept=accept)
        require_known(vault, form)
        with vault.books.write() as tx:
            held = tx.get(FormRow, (form.id, form.version))
            known = {f"{one.id}@{one.version}": one for one, _ in shipped()}
            other = _parsed_row(held) if held is not None else known.get(f"{form.id}@{form.version}")
            if other is not None and other.digest != form.digest:
                raise InputError(
                    "form_exists", f"{form.id}@{form.version} is held and says something else", hint="raise its version"
                )
            store(tx, vault, form, text)
            tx.flush()
            detail = {"form": form.id, "version": form.version, "wording": form.wording_sha256}
            vault.trail.append(tx, Action.CONSENT_FORM, Outcome.DONE, obj=ObjectRef("form", form.digest), detail=detail)
    return form


def take_out(vault: UnlockedVault, name: str, *, reason: str) -> Form:
    """Take a kept form version out that nobody has answered: it was added by mistake. ``name``: NAME@VERSION.

    Raises:
        InputError: ``form_unknown``, ``reason_missing``, ``reason_too_long``; ``form_answered``: it stays, for the answers were given to it.
    """
    with vault.trail.attempting(Action.CONSENT_FORM):
        said = require_reason(reason)
        wanted, _, version = name.partition("@")
        with vault.books.write() as tx:
            row = tx.get(FormRow, (wanted, version))
            if row is None:
                hint = "NAME@VERSION of one of: genovault consent forms --all"
                raise InputError("form_unknown", f"no form {name:.60} is kept", hint=hint)
            form, patterns = _parsed_row(row), ledger.read(tx, vault).patterns()
            if any(one.form is not None and (one.form.form, one.form.version) == (wanted, version) for one in patterns):
                hint = "add the right one as another version, and correct the answers (consent correct)"
                raise InputError("form_answered", f"{name} was answered, so it stays", hint=hint)
            tx.delete(row)
            tx.flush()
            detail = {"form": form.id, "version": form.version, "taken_out": True, "reason": said}
            vault.trail.append(tx, Action.CONSENT_FORM, Outcome.DONE, obj=ObjectRef("form", form.digest), detail=detail)
    return form


def store(tx: Transaction, vault: UnlockedVault, form: Form, text: str) -> None:
    """Store a form, unless it is stored already, in the transaction of an event that answers it."""
    if tx.get(FormRow, (form.id, form.version)) is None:
        digest, now = sha256(text.encode()), to_micros(vault.clock())
        tx.add(FormRow(form_id=form.id, version=form.version, sha256=digest, body=text, created=now))


def rules(vault: UnlockedVault, tx: Transaction) -> Rules:
    """Rules of this vault: the strict defaults, with the material changes of the stored forms."""
    changed, parsed = [], vault.caches.get(PARSED_FORMS)
    for row in tx.scalars(select(FormRow)):
        if row.sha256 not in parsed:
            parsed[row.sha256] = _parsed_row(row)
        form = parsed[row.sha256]
        if form.material_change and form.effective is not None:
            changed.append(MaterialChange(form.id, form.version, form.effective))
    return Rules(material_changes=tuple(sorted(changed)))


def _parsed_row(row: FormRow) -> Form:
    if sha256(row.body.encode()) != row.sha256:
        raise IntegrityError("form_altered", f"the kept text of form {row.form_id} was altered", hint="run genovault doctor")
    return _parsed(row.body)


@lru_cache(maxsize=64)  # a text means one form; those shipped are asked for with every sheet
def _parsed(text: str) -> Form:
    return declared(lambda: forms.parse_form(parse_yaml(text.encode(), name="the form")), name="the form")


def _by_number(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdigit() else (-1, version)
