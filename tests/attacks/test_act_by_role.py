"""Act by role, through every command and every function: what the table does not give is refused, logged and changes nothing."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

import policies
from policies import authority
from policies.declarations import project_template
from policies.purposes import RULABLE, RequestKind
from policies.request_files import request_template
from policies.token_scopes import TokenScope
from tests.support import after_release, counted_acts, criteria, documents, vaults
from tests.support.commands_by_role import COMMANDS
from tests.support.held import stored
from tests.support.parcels import pair
from tests.support.shell import Shell
from tests.support.vaults import opened
from vault import gate
from vault.access import (
    access_tokens,
    accounting,
    outside_identities,
    project_versions,
    projects,
    recipients,
    reference_data,
    request_files,
    requests,
    rulings,
)
from vault.access.stream_tickets import StreamAsked
from vault.audit.actions import Action
from vault.audit.entry import decode_leaf
from vault.audit.note import ED25519, VerifierKey
from vault.consent import (
    corrections,
    coverage,
    explanations,
    forms,
    people,
    proposals,
    recording,
    subject_export,
    work_queue,
)
from vault.crypto.crypt4gh_keys import public_key_armour
from vault.crypto.keystore import Branch, KeyFileFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.crypto.secret import Secret
from vault.errors import InputError, RefusedError
from vault.files.yaml_documents import parse_yaml
from vault.genotypes import import_job
from vault.genotypes.catalog import dataset_rules, datasets, panel_builder, panels
from vault.genotypes.loci import parse_loci
from vault.operations import backup, dataset_upgrade, doctor, key_backups, key_rotation, log_anchors, upgrade
from vault.operations.compaction import process as compaction
from vault.operations.corrections import merge_proposals, merging, moving, recounting, removal, sample_checks, verification
from vault.operations.erasure import process
from vault.session import moments, principals
from vault.subjects import registry, sheet_import

KEYED = ("steward", "auditor", "engine", "custodian", "service")
HERE = '{"GRCh38": {"categories": {"here": ["22:1000-1100"]}}}'
LOCI = f'{{"version": "1", "source": "s", "date": "2026-01-01", "assemblies": {HERE}}}'
FORM = (
    (Path(policies.__file__).parent / "packs/forms/broad-research-1.yaml")
    .read_text()
    .replace("form: broad-research", "form: own")
)
ASKED = requests.Spec(alleles=("22:1000:A:G",))
FOR_A_WEEK = lambda s: {"project": "served", "scopes": [TokenScope.READ], "expires": s.clock() + timedelta(days=7)}  # noqa: E731 - beside its like
ANSWERS = "subject,legal_time,research_use,recontact,signer,evidence\nsample:S01,,yes,yes,self,\n"

WITHOUT_ENTRY = frozenset({"audit continue"})  # a log that is refused takes none before it is continued
# Allowed, and still not to be done: too few people, nobody who allows it, overwritten, in use, never set or not so.
ELSE = {
    "serve": 2,
    "unlock": 2,
    "request result": 3,
    "match run": 3,
    "table assess": 3,
    "table approve": 3,
    "table verify": 5,
    "restore": 4,
    "key destroy-epoch": 2,
    "dataset rule": 4,
    "consent unload": 4,
    "project reopen": 4,
}
# The steward asked, and nobody tells.
OTHERS = {
    ("engine", "request show"): 4,
    ("engine", "request withdraw"): 4,
    ("engine", "request resubmit"): 4,
    ("engine", "audit prove"): 3,
    ("service", "audit prove"): 3,
}
MADE = ("other", "out", "dossier", "tiles", "report.html", "data", "answer.json", "told.json")  # by the lines


@pytest.fixture(scope="module")
def staffed(tmp_path_factory):
    """A folder with a vault in which every role has somebody, files to hand in, and the names that the lines need."""
    folder = tmp_path_factory.mktemp("staffed")
    vault = vaults.copy(folder, whole=False)
    names = {"item": next(item for item in RULABLE if item.isidentifier())}
    with opened(vault) as s:
        vaults.approve(s, "each", "cohort", approval="each")
        counted_acts.declare(s)
        vaults.approve(s, "waiting", "cohort")  # while there is one steward
        criteria.fill(s)
        vaults.approve(s, "served", "cohort", people=["rita"])
        project_versions.amend(s, declaration("waiting"), reason="x")
        for role in KEYED:
            key = role.encode().ljust(32)
            write(folder, role, key)
            factor = KeyFileFactor(Secret(key))
            principals.add(s, role, Role(role), factor, administers=role == "steward", profile=Argon2Profile.TEST_ONLY)
        principals.add(s, "rita", Role.RESEARCHER, None)
        write(folder, "rita", b"r" * 32)
        release = gate.extract(s, vaults.ask(s), folder / "released")
        notice, sent = after_release.told(s)
        write(folder, "sent.json", sent)
        projects.create(s, declaration("second"))
        lab = recipients.add(s, "lab", public_key_armour(pair(1).public).encode())
        outside_identities.name(s, "rita", "https://id.example.org", "rita")
        _, issued = access_tokens.issue(s, "rita", **FOR_A_WEEK(s))
        names |= {
            "accessor": issued.accessor,
            **after_release.half_resolved(s, vault, factor=KeyFileFactor(Secret(b"custodian".ljust(32))), second="custodian"),
            "asked": vaults.ask(s, project="each"),
            "counted": requests.submit(s, "counted", "cohort", kind=RequestKind.COUNTS, spec=ASKED).request_id,
            "notice": notice,
            "mark": lab.fingerprint,
            "release": release.release_id,
            "request": vaults.ask(s),
            "slot": next(slot.slot_id for slot in principals.slots(s) if slot.principal == "auditor"),
            "copy": backup.backup_keys(s, folder / "keys", expires=s.clock() + timedelta(days=3)).backup_id,
            "event": recording.history(s, "S03").events[0].event_id,
            "token": accounting.account_for(s, "S03").tokens[0],
        }
        backup.backup(s, folder / "copy")
        s.trail.checkpoint()
        write(folder, "receipt", s.trail.log.receipt(0).encode())
        write(folder, "answered.json", request_files.answer(s, names["request"]))
        mine = VerifierKey(f"{s.trail.origin}/release", ED25519, s.release_signer().public)
        write(folder, "release.vkey", mine.to_text().encode())
        write(folder, "log.vkey", s.trail.log_keys()[0].to_text().encode())
    for name, text in {
        "sheet.csv": b"sample_id\nT01\n",
        "more.vcf": vaults.vcf(" ".join(vaults.SAMPLES), f"21 100 A G {vaults.gts(3)}").data,
        "answers.csv": ANSWERS.encode(),
        "loci.json": LOCI.encode(),
        "other.pub": public_key_armour(pair(2).public).encode(),
        "loci.bed": b"22\t999\t1030\n",
        "form.yaml": FORM.encode(),
        "pack.yaml": criteria.as_text(criteria.CARRIER),
        "second.yaml": project_template("second", "cohort").encode(),
        "third.yaml": project_template("third", "cohort").encode(),
        "asked.yaml": request_template("demo").replace("genes:", "# genes:").replace("19.9M-20M", "1-2000").encode(),
        "amended.yaml": project_template("demo", "cohort").encode(),
    }.items():
        write(folder, name, text)
    (folder / "elsewhere").mkdir()
    return folder, names


def write(folder, name, data):
    (folder / name).write_bytes(data)
    (folder / name).chmod(0o600)


def declaration(code):
    return parse_yaml(project_template(code, "cohort").encode(), name="template")


@pytest.fixture
def ground(staffed, tmp_path, monkeypatch):
    """A shell in a copy of the folder, and the names."""
    folder, names = staffed
    shutil.copytree(folder, tmp_path / "ground")
    return Shell(tmp_path / "ground", monkeypatch), names


def leaves(vault, after=0):
    connection = dbapi2.connect(f"file:{vault / 'books.db'}?mode=ro", uri=True)
    rows = connection.execute("SELECT leaf FROM audit_leaf ORDER BY idx").fetchall()[after:]
    connection.close()
    return [decode_leaf(bytes(leaf)) for (leaf,) in rows]


def as_role(role, line, names):
    return f"--as {role} --key-file {role} --json {line.format(**names)}"


def test_every_command_has_an_expectation():
    assert documents.commands() == set(COMMANDS)


@pytest.mark.parametrize("every", [len(KEYED), pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("role", KEYED)
def test_no_command_does_what_its_role_may_not(ground, role, every):
    """Each command by one of the roles, and at length by all; each function by all of them is below."""
    shell, names = ground
    before, size = stored(shell.vault), len(leaves(shell.vault))
    for command, (line, act) in list(COMMANDS.items())[KEYED.index(role) % every :: every]:
        if act is None or authority.may(role, act):
            continue
        ran = shell.try_(as_role(role, line, names))
        uniform = role in ("engine", "service") and (act == "extract.intent" or command == "request result")
        assert (ran.code, ran.error) == (3, "refused" if uniform else "not_authorised"), command
        new = leaves(shell.vault, size)
        size += len(new)
        said = [(leaf["act"], leaf["outcome"], leaf["actor"]["kind"], leaf["reasons"]) for leaf in new]
        assert said == [(act, "refused", role, {"not_authorised": 1})] * (command not in WITHOUT_ENTRY), command
    assert stored(shell.vault) == before
    assert not [name for name in MADE if (shell.folder / name).exists()]


@pytest.mark.long
@pytest.mark.parametrize("role", KEYED)
def test_every_command_does_what_its_role_may(ground, role):
    shell, names = ground
    shutil.copytree(shell.vault, shell.folder / "kept")
    for command, (line, act) in COMMANDS.items():
        if act is not None and not authority.may(role, act):
            continue
        ran = shell.try_(as_role(role, line, names))
        assert ran.code == OTHERS.get((role, command), ELSE.get(command, 0)), f"{command}: {ran.err}"
        shutil.rmtree(shell.vault)
        shutil.copytree(shell.folder / "kept", shell.vault)


def test_who_holds_no_slot_opens_nothing(ground):
    """A researcher is a principal, and has no key."""
    shell, names = ground
    before = stored(shell.vault)
    for command, (line, act) in COMMANDS.items():
        if act is not None:
            ran = shell.try_(as_role("rita", line, names))
            assert (ran.code, ran.error) == (6, "cannot_unlock"), command
    assert stored(shell.vault) == before
    assert not [name for name in MADE if (shell.folder / name).exists()]


def functions(s, names, folder):
    """What each act's own function does, in a session."""
    return {
        "vault.upgrade": lambda: upgrade.upgrade(s, {}),
        "vault.clock": lambda: moments.check_clock(s),
        "subject.import": lambda: sheet_import.import_sheet(s, []),
        "subject.list": lambda: people.listed(s),
        "subject.find": lambda: people.find(s, "Person 3"),
        "subject.show": lambda: registry.subject_show(s, "S03"),
        "subject.restrict": lambda: recording.restrict(s, "S03"),
        "subject.erase": lambda: process.erase(s, "S03"),
        "subject.merge": lambda: merging.merge(s, "S03", "S04", reason="x", accept=True),
        "subject.merge.take_back": lambda: merge_proposals.take_back(s, "S03", "S04", reason="x"),
        "subject.compare": lambda: merging.check(s, "S03", "S04"),
        "consent.import": lambda: recording.import_answers(s, ANSWERS.encode(), "broad-research"),
        "consent.record": lambda: recording.record(s, "S11", "broad-research", {"research_use": "yes"}),
        "consent.withdraw": lambda: recording.withdraw(s, "S03"),
        "consent.correct": lambda: corrections.correct(s, names["event"], reason="x"),
        "consent.correct.take_back": lambda: proposals.take_back(s, names["event"], reason="x"),
        "consent.show": lambda: recording.history(s, "S03"),
        "consent.explain": lambda: explanations.explain(s, "S03", "demo"),
        "consent.export": lambda: subject_export.export(s, "S03", folder / "dossier"),
        "consent.coverage": lambda: coverage.coverage(s, None),
        "consent.expiring": lambda: work_queue.expiring(s, within=timedelta(days=9)),
        "consent.queue": lambda: work_queue.queue(s),
        "consent.form": lambda: forms.add(s, FORM),
        "consent.pack": lambda: reference_data.load(s, reference_data.LOCI, LOCI, version="1"),
        "dataset.import": lambda: import_job.import_files(
            s, [folder / "more.vcf"], name="cohort", assembly="GRCh38", options=import_job.ImportOptions(append=True)
        ),
        "dataset.check": lambda: sample_checks.check(s, "cohort"),
        "dataset.compact": lambda: compaction.compact(s, "cohort"),
        "dataset.move": lambda: moving.move(s, "cohort", "S03", "S04", swap=True, reason="x"),
        "dataset.upgrade": lambda: dataset_upgrade.upgrade(s, "cohort"),
        "dataset.verify": lambda: verification.verify(s, "cohort"),
        "dataset.recount": lambda: recounting.recount(s, "cohort"),
        "dataset.remove": lambda: removal.remove(s, "cohort", reason="x", accept=True),
        "panel.create": lambda: panels.create(
            s, "new", parse_loci(b"22\t999\t1030\n", name="loci"), dataset_id=datasets.by_name(s, "cohort").dataset_id
        ),
        "panel.build": lambda: panel_builder.build(s, None, None),
        **criteria.functions(s),
        "project.create": lambda: projects.create(s, declaration("third")),
        "project.amend": lambda: project_versions.amend(s, declaration("demo"), reason="x"),
        "project.take_back": lambda: project_versions.take_back(s, "waiting", reason="x"),
        "project.edit": lambda: project_versions.edit(s, declaration("second"), reason="x"),
        "project.reopen": lambda: projects.change(s, "demo", "reopen", reason="x"),
        "project.approve": lambda: projects.change(s, "second", "approve"),
        "project.suspend": lambda: projects.change(s, "demo", "suspend"),
        "project.close": lambda: projects.change(s, "demo", "close"),
        "project.check": lambda: gate.check(s, "demo"),
        "project.rule": lambda: rulings.rule(s, "demo", names["item"], reason="x"),
        "request.submit": lambda: requests.submit(s, "demo", "cohort", kind=RequestKind.RECORDS, spec=requests.Spec()),
        "recipient.add": lambda: recipients.add(s, "other", (folder / "other.pub").read_bytes()),
        "recipient.confirm": lambda: recipients.confirm(s, "lab", names["mark"]),
        "recipient.retire": lambda: recipients.retire(s, "lab", reason="x"),
        "request.risk": lambda: gate.risk(s, names["asked"]),
        "request.answer": lambda: request_files.answer(s, names["request"]),
        "request.approve": lambda: requests.approve(s, names["asked"]),
        "request.withdraw": lambda: requests.withdraw(s, names["request"], "x"),
        "request.deny": lambda: requests.deny(s, names["request"], "x"),
        "view.intent": lambda: gate.view(s, project="demo", dataset="cohort"),
        "view.changes": lambda: gate.changes(s, **FOR_THE_PANEL, since_people=[bytes(32)], since_rows=""),
        "view.read": lambda: gate.read_panel(s, **FOR_THE_PANEL),
        "stream.ticket": lambda: gate.stream_ticket(s, StreamAsked("demo", "cohort"), accessor="x"),
        "extract.intent": lambda: gate.extract(s, names["request"], folder / "out"),
        **after_release.functions(s, names),
        **counted_acts.functions(s, names),
        "audit.anchor": lambda: log_anchors.add(s, folder / "elsewhere"),
        "audit.disclosures": lambda: accounting.account_for(s, names["token"]),
        "log.continue": lambda: log_anchors.continue_log(s),
        "principal.add": lambda: principals.add(s, "zoe", Role.RESEARCHER, None),
        "principal.disable": lambda: principals.disable(s, "auditor"),
        "principal.list": lambda: principals.list_all(s),
        "principal.token": lambda: access_tokens.issue(s, "rita", **FOR_A_WEEK(s)),
        "principal.identity": lambda: outside_identities.name(s, "rita", "https://id.example.org", "x"),
        "principal.identity.forget": lambda: outside_identities.forget(s, "https://id.example.org", "rita"),
        "principal.token.revoke": lambda: access_tokens.revoke(s, names["accessor"]),
        "slot.add": lambda: principals.add_slot(s, "engine", vaults.FACTOR, profile=Argon2Profile.TEST_ONLY),
        "slot.remove": lambda: principals.remove_slot(s, names["slot"]),
        "slot.list": lambda: principals.slots(s),
        "dataset.rule": lambda: dataset_rules.raise_quality(s, "cohort", 30),
        "key.rotate": lambda: key_rotation.rotate(s, [Branch.GENOTYPE]),
        "key.destroy": lambda: key_rotation.destroy_epoch(s, Branch.GENOTYPE, 1),
        "key.list": lambda: key_rotation.epochs(s),
        "backup.create": lambda: backup.backup(s, folder / "data"),
        "backup.destroyed": lambda: key_backups.destroyed(s, names["copy"]),
        "doctor.run": lambda: doctor.examine(s),
    }


FOR_THE_PANEL = {"project": "demo", "dataset": "cohort", "panel": "pgx"}
IN_COMMANDS = {
    "dataset.list",
    "dataset.show",
    "dataset.parts",
    "panel.show",
    "project.show",
    "recipient.list",
    "request.show",
    "release.show",
    "release.verify",
} | {
    f"audit.{what}" for what in ("read", "verify", "prove", "export", "report", "approvals")
}  # logged where they are shown; what may be read is the keyring's table
WITHIN = {
    "vault.init",
    "vault.open",
    "vault.unlock.failed",
    "vault.relocate",
    "vault.incarnation",
    "keystore.reconcile",
    "subject.merge.propose",
    "consent.correct.propose",
    "job.done",
    "release.notice.late",
    "release.notice.call_off",
    "panel.settle",
} | {
    f"{what}.outcome" for what in ("view", "view.match", "extract")
}  # acts of opening, making and restoring a vault, or the ends of others
UNBUILT = {"subject.update", "backup.restore", "job.start"}
SERVED = {"release.download"}  # of a service, for people without keys: tests/vault/server/test_deliveries.py
BY_TICKET = {"stream.header", "stream.probe", "principal.token.shown"}  # of a service, for who shows a ticket or nothing


def test_every_act_has_a_function_or_says_why_not():
    assert set(functions(None, {}, Path())) | IN_COMMANDS | WITHIN | UNBUILT | BY_TICKET | SERVED == {act.value for act in Action}
    assert {act for _, act in COMMANDS.values() if act is not None} >= IN_COMMANDS


@pytest.mark.parametrize("role", KEYED)
def test_no_function_does_what_its_role_may_not(ground, role):
    shell, names = ground
    before = stored(shell.vault)
    with opened(shell.vault, factor=KeyFileFactor(Secret(role.encode().ljust(32))), principal=role) as s:
        for act, function in functions(s, names, shell.folder).items():
            if authority.may(role, act):
                continue
            size = s.trail.log.size()
            with pytest.raises(RefusedError) as caught:
                function()
            assert caught.value.code == "refused" if act == "extract.intent" and role == "engine" else "not_authorised", act
            new = [decode_leaf(entry.leaf) for entry in s.trail.log.entries(size)]
            said = [(leaf["act"], leaf["outcome"], leaf["reasons"]) for leaf in new]
            assert said == ([] if act == "log.continue" else [(act, "refused", {"not_authorised": 1})]), act
    assert stored(shell.vault) == before


def test_no_slot_is_made_for_a_researcher(ground):
    shell, _ = ground
    with opened(shell.vault) as s, pytest.raises(InputError) as caught:
        principals.add(s, "ria", Role.RESEARCHER, KeyFileFactor(Secret(b"x" * 32)))
    assert caught.value.code == "role_holds_no_keys"
