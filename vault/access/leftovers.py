"""Leftover of an extract that was stopped: the files of whole contigs that were finished, and whether the extract may go on from there.

It is the staged folder and, sealed in the release's record, which files are finished with their digests, and the *basis*: one digest of all
that settles the bytes of a release's files. An extract goes on only where its basis is what it was, and each file is looked at again before
it is used. A leftover is kept for ``KEPT``, and no longer than all of it may be released (``operations.release_recovery``).

The order of the columns has a key of its own, destroyed before the release is committed, and whenever a leftover is given up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies import canonical
from policies.rules import RULE_SET
from vault.access import releases
from vault.access.releases import Release, ReleaseContent
from vault.access.scope import AccessScope, Reissue
from vault.audit.actions import Outcome
from vault.audit.reports.records import record_of
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.errors import InputError, IntegrityError, RefusedError, UnavailableError
from vault.extracts.staging import unwritable
from vault.files import durable
from vault.ids import Pseudonym, SubjectId
from vault.session.unlocked_vault import UnlockedVault

if TYPE_CHECKING:
    from vault.access.release_limits import ReleaseLimits
    from vault.extracts.genotype_files import FileChoice, FinishedContig
    from vault.extracts.manifest import FileEntry
    from vault.extracts.staging import Staging
    from vault.genotypes.assayed import Assayed
    from vault.views.header_summary import HeaderSummary

KEPT = timedelta(days=7)  # from the beginning of the extract

STARTS_OVER = frozenset({"nothing_kept", "leftover_altered", "extract_changed"})
"""Codes of errors after which an extract that was to go on begins anew: nothing of what was left is used."""

_RELEASE_ID = re.compile(r"rel-[0-9a-f]{16}")


@dataclass(frozen=True)
class Leftover:
    """A stopped release, the people in it, and the contigs whose files are finished."""

    release: Release
    people: frozenset[SubjectId]
    finished: tuple[FinishedContig, ...]

    @property
    def reissue(self) -> Reissue | None:
        """The release in whose place it is made, if any."""
        replaces = self.release.content.asked.get("replaces")
        return None if replaces is None else Reissue(str(replaces), self.people)

    @property
    def shape(self) -> str:
        """``shape`` of the view that was begun."""
        return str(self.release.content.leftover["shape"])

    @property
    def files(self) -> list[FileEntry]:
        """The finished files."""
        return [file for one in self.finished for file in one.files]


def require_id(release_id: str) -> None:
    """Raises InputError ``release_unknown`` for what is no release's id; a lock is named by it."""
    if not _RELEASE_ID.fullmatch(release_id):
        raise InputError("release_unknown", "there is no such release", hint="genovault release list")


def begun(vault: UnlockedVault, chosen: FileChoice, basis: Callable[[], str]) -> dict[str, Any]:
    """Record of an extract at its beginning, if it may go on after a stop; empty if it may not."""
    return {"by": vault.principal, "choice": asdict(chosen), "basis": basis(), "finished": []} if chosen.by_contig else {}


def taken_up(left: Leftover, content: ReleaseContent) -> ReleaseContent:
    """The content of the record of an extract that goes on; ``content`` is that of one that begins now.

    Raises:
        RefusedError: ``extract_changed``.
    """
    before = left.release.content
    if (content.leftover.get("basis"), content.names) != (before.leftover["basis"], before.names):
        message = "somebody left, or the project, its data or its recipients changed since this extract was begun"
        raise RefusedError("extract_changed", message)
    return replace(content, asked=before.asked, leftover=before.leftover)


def basis(
    scope: AccessScope,
    limits: ReleaseLimits,
    *,
    people: Sequence[SubjectId],
    places: bytes,
    parts: Sequence[bytes],
    obligations: Mapping[str, object],
    assayed: Assayed,
    writer: bytes,
) -> str:
    """Digest in hex of what settles an extract's bytes, but its format, its names and its day.

    Args:
        people, places: of the release, as ``Members.places`` tells them; ``parts``: all of the dataset.
        writer: public key that its files are sealed with; empty for one in the clear.
    """
    project, panel = scope.project, scope.panel
    hidden = limits.hidden
    found = [
        _program(),
        RULE_SET,
        [project.project_id.hex(), project.version, project.revision, canonical.sha256(canonical.plain(project.declaration))],
        [scope.dataset.dataset_id.hex(), scope.dataset.name, scope.dataset.assembly, sorted(part.hex() for part in parts)],
        [panel.panel_id.hex(), panel.version] if panel else [],
        [scope.request_id, list(scope.regions), list(scope.genes)],
        [[key.name, key.fingerprint] for key in scope.readers],
        writer.hex(),
        sha256(b"".join(sorted(people))).hex(),
        places.hex(),
        repr(sorted(obligations.items())),
        repr((hidden.masks, hidden.only, hidden.assembly)),
        repr(limits.rules),
        [assayed.everything, sha256(assayed.text().encode()).hex()],
    ]
    return canonical.sha256(found)


def column_order(vault: UnlockedVault, release_id: str, *, again: bool) -> bytes:
    """Key of the order of columns, 32 bytes: a new one, or ``again`` the one that there is.

    Raises:
        RefusedError: ``extract_changed``: it was destroyed.
    """
    if not again:
        return vault.keys.create(KeyPurpose.RELEASE, [_owner(release_id)])[0].secret.reveal()
    try:
        return vault.keys.open(KeyPurpose.RELEASE, _owner(release_id)).secret.reveal()
    except IntegrityError as error:
        if error.code != "key_missing":
            raise
        raise RefusedError("extract_changed", "the key of the order of columns is gone") from None


def end_order(vault: UnlockedVault, release_id: str) -> None:
    """Destroy the key of the order of columns; gone already is fine."""
    with suppress(UnavailableError):  # ``database_busy``: it is deleted, and only the log of writes waits to be overwritten
        vault.keys.destroy([KeyPurpose.RELEASE], [_owner(release_id)])


def shape(columns: Sequence[Pseudonym], summary: HeaderSummary, not_assayed: Sequence[str]) -> str:
    """Digest in hex of the columns in their order, and of what the header says of all records."""
    return sha256(repr((tuple(columns), summary, tuple(not_assayed))).encode()).hex()


def keep(
    vault: UnlockedVault,
    release_id: str,
    content: ReleaseContent,
    finished: Sequence[FinishedContig],
    *,
    staging: Staging,
    shape_of: str,
) -> None:
    """Record which contigs are finished, once their files' names are durable; from here on the folder outlives a failure.

    Raises:
        RefusedError: ``release_ended``.
    """
    try:
        durable.sync(staging.path)
    except OSError as error:
        raise unwritable(error) from None
    told = [
        {"contig": one.contig, "files": [file.model_dump() for file in one.files], "losses": dict(one.losses)} for one in finished
    ]
    kept = {**content.leftover, "shape": shape_of, "finished": told}
    with vault.books.write() as tx:
        releases.renew(tx, vault, release_id, replace(content, leftover=kept))
    staging.retain()


def find(vault: UnlockedVault, release_id: str, *, request_id: str, output: Path, chosen: FileChoice) -> Leftover:
    """The leftover of a release, for whoever began it and asks for the same; its lock is held.

    Raises:
        InputError: ``release_unknown``; ``resume_differs``: another request, folder or format; ``release_finished``.
        RefusedError: ``not_yours``; ``nothing_kept``.
    """
    release = releases.load(vault, release_id)
    if release.request_id != request_id:
        raise InputError("resume_differs", "this release is of another request", hint="genovault release list")
    if release.state in (releases.RELEASED, releases.COMMITTED):
        raise InputError("release_finished", "this release was not stopped: it is finished", hint="genovault release list")
    leftover = release.content.leftover
    if not is_kept(vault, release, at=vault.clock()):
        hint = "an extract is kept for 7 days, with --split contig, as long as nothing changed"
        raise RefusedError("nothing_kept", f"nothing of release {release_id} can be used", hint=hint)
    if leftover["by"] != vault.principal:
        raise RefusedError("not_yours", "this extract was begun by somebody else", hint="extract the request anew")
    if leftover["choice"] != asdict(chosen):
        was = leftover["choice"]
        hint = f"--format {was['file_format']} --split contig, or extract anew"
        raise InputError("resume_differs", "this release was begun in another format", hint=hint)
    if str(output.resolve()) != release.content.output:
        raise InputError("resume_differs", "this release was begun for another folder", hint=f"--output {release.content.output}")
    people = frozenset(vault.subject_keys.owners_of(vault.trail.log.subjects_of(release.subject_set)))
    return Leftover(release, people, finished_of(release.content))


def require_same_readers(left: Leftover, scope: AccessScope) -> None:
    """Raises InputError ``resume_differs`` where the extract goes to other recipients than those whom it was begun for, by choice and not because the
    project was amended.
    """
    names, version_then = list(left.release.sealed_for), left.release.content.asked.get("project_version")
    if scope.project.version == version_then and names != [key.name for key in scope.readers]:
        hint = " ".join(f"--recipient {name}" for name in names)
        raise InputError("resume_differs", "this release was begun for other recipients", hint=hint)


def is_kept(vault: UnlockedVault, release: Release, *, at: datetime) -> bool:
    """Tell whether a release was stopped with finished contigs that are there still, not too long ago, and by nothing but an error."""
    if release.state != releases.STAGING or not release.content.leftover.get("finished"):
        return False
    said = vault.trail.log.closings([release.intent_event]).get(release.intent_event, [])
    if any(record_of(entry).outcome != Outcome.FAILED for entry in said):  # whatever the row says: the log says that it was ended
        return False
    return Path(release.content.staged).is_dir() and at < until(release)


def until(release: Release) -> datetime:
    """Time at which a leftover is given up."""
    return datetime.fromisoformat(release.created) + KEPT


def finished_of(content: ReleaseContent) -> tuple[FinishedContig, ...]:
    """The finished contigs, as they are recorded."""
    from vault.extracts.genotype_files import FinishedContig  # noqa: PLC0415 - loads the manifest's models, which few commands need
    from vault.extracts.manifest import FileEntry  # noqa: PLC0415 - as above

    told: list[dict[str, Any]] = content.leftover.get("finished", [])
    return tuple(
        FinishedContig(one["contig"], tuple(FileEntry.model_validate(file) for file in one["files"]), one["losses"])
        for one in told
    )


def may_go_on(error: BaseException, release_id: str) -> UnavailableError:
    """Error that stopped an extract, with how it goes on."""
    code, message = (
        (error.code, error.message)
        if isinstance(error, UnavailableError)
        else ("output_unwritable", "the output cannot be written")
    )
    return UnavailableError(code, message, hint=f"once that is mended, give the same command again with --resume {release_id}")


def _owner(release_id: str) -> bytes:
    return sha256(b"order of columns: " + release_id.encode())[:16]


def _program() -> str:
    """Version of this program: another one may write the same view in other bytes."""
    try:
        return version("genovault")
    except PackageNotFoundError:
        return ""
