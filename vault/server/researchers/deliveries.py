"""Routes of releases: extracts that a researcher has made, their states, and their files, fetched from the spool."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from policies.token_scopes import TokenScope
from vault.access import access_tokens, own_releases, spool
from vault.access.releases import Release
from vault.access.spool import KeptFile
from vault.access.told import told
from vault.audit.actions import Action
from vault.errors import RefusedError
from vault.extracts.genotype_files import FileChoice
from vault.server.bearers import ShownToken, admitted, token_of
from vault.server.bodies import PLAIN
from vault.server.problems import HttpProblem
from vault.server.researchers.extract_jobs import ExtractJobs
from vault.server.researchers.release_bodies import ExtractAsked, ReleaseBody, ReleasesBody, release_body
from vault.server.researchers.spooled_files import Downloads, SpooledFile, asked_range, etag_of, head, not_modified
from vault.server.seal import seal_of
from vault.session.moments import present
from vault.session.unlocked_vault import UnlockedVault

routes = APIRouter(prefix="/v1")

RequestId = Annotated[str, Path(min_length=1, max_length=64, pattern=PLAIN)]
ReleaseId = Annotated[str, Path(min_length=1, max_length=64, pattern=PLAIN)]
FileName = Annotated[str, Path(min_length=1, max_length=120, pattern=PLAIN)]

_LOOKS = (TokenScope.DOWNLOAD, TokenScope.EXTRACT)
_NOT_READY: dict[int | str, dict[str, Any]] = {
    409: {"description": "The request, or its project, is not in a state in which this can be done."}
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file."},
    206: {"content": {"application/octet-stream": {}}, "description": "The range."},
    304: {"description": "It is the file that If-None-Match names."},
    410: {"description": "It was kept for 7 days."},
    416: {"description": "One range, within the file."},
}


@routes.post("/requests/{request_id}/extracts", status_code=202, responses=_NOT_READY)
async def extract(request: Request, response: Response, request_id: RequestId, asked: ExtractAsked) -> ReleaseBody:
    """Have the records of an own, approved request made, sealed to the project's recipients. The same again, while it is on its way, is one; a server that ends
    goes on with it. Scope ``extract``.
    """
    token, jobs = token_of(request), _jobs(request)

    def work(vault: UnlockedVault) -> ReleaseBody:
        own, who = admitted(vault, token, Action.EXTRACT_INTENT, TokenScope.EXTRACT)
        chosen = FileChoice(asked.file_format, layout=asked.layout)
        try:
            found = own_releases.require_extractable(own, who.project, request_id)
        except RefusedError as error:
            if error.code not in own_releases.NOT_READY:
                raise
            raise HttpProblem(409, error.code, error.message) from None
        chosen.require_fits(panel=found.spec.panel is not None)
        job = jobs.start(vault, who, request_id, chosen, asked.recipients)
        return release_body(own_releases.OwnRelease(job.release_id, request_id, "waiting"))

    body = await seal_of(request).run(work)
    response.headers["Location"] = f"/v1/releases/{body.release}"
    return body


@routes.get("/releases")
async def listed(request: Request) -> ReleasesBody:
    """List the releases of own requests, newest first, behind the extracts that wait. Scope ``download`` or ``extract``."""
    token, jobs = token_of(request), _jobs(request)

    def work(vault: UnlockedVault) -> ReleasesBody:
        own, who = admitted(vault, token, Action.RELEASE_SHOW, *_LOOKS)
        found = own_releases.listed(own, who.project, jobs.folder)
        return ReleasesBody(releases=[release_body(one) for one in found])

    return await seal_of(request).run(work)


@routes.get("/releases/{release_id}")
async def shown(request: Request, release_id: ReleaseId) -> ReleaseBody:
    """Show a release of an own request, or what became of an extract, under the id that it has now. Scope ``download`` or ``extract``."""
    token, jobs = token_of(request), _jobs(request)

    def work(vault: UnlockedVault) -> ReleaseBody:
        own, who = admitted(vault, token, Action.RELEASE_SHOW, *_LOOKS)
        return release_body(own_releases.shown(own, who.project, release_id, jobs.folder))

    return await seal_of(request).run(work)


@routes.head("/releases/{release_id}/files/{name}", responses=_FILE, include_in_schema=False)
@routes.get("/releases/{release_id}/files/{name}", response_class=Response, responses=_FILE)
async def file(request: Request, release_id: ReleaseId, name: FileName) -> Response:
    """Send a file of an own release, or one range of it, logged where it begins. Scope ``download``."""
    return await sent(request, partial(_bearer, token_of(request)), release_id, name)


@dataclass(frozen=True)
class Fetcher:
    """Whoever fetches a file: the vault in their name, and their project. ``counted_as``: what their downloads are counted under; ``require_again``:
    raises where they may have no more.
    """

    vault: UnlockedVault = field(repr=False)
    project: str
    counted_as: str
    require_again: Callable[[], object] = field(repr=False)


async def sent(request: Request, admit: Callable[[UnlockedVault], Fetcher], release_id: str, name: str) -> Response:
    """A file of an own release as the answer to whoever is admitted, by the service's vault. Raises as ``Seal.run``, ``admit``; HttpProblem."""
    jobs, downloads = _jobs(request), _downloads(request)

    def work(vault: UnlockedVault) -> Response:
        who = admit(vault)
        release, handle, found = _opened(who, jobs, release_id, name)
        try:
            if not_modified(request.headers, found):
                return Response(None, 304, {"ETag": etag_of(found)})
            asked = asked_range(request.headers, found)
            if request.method == "HEAD":
                return Response(None, *head(found, None))
            downloads.enter(who.counted_as)
            try:
                if not downloads.continues(who.counted_as, release_id, name, first=asked[0] if asked else 0):
                    own_releases.begin_download(who.vault, release, name)
                    downloads.begun(who.counted_as, release_id, name)
                again = partial(_require_again, who, jobs, release)
                answer = SpooledFile(handle, found, asked, downloads, again, accessor=who.counted_as)
            except BaseException:
                downloads.leave(who.counted_as)
                raise
            handle = -1
            return answer
        finally:
            if handle >= 0:
                os.close(handle)

    return await seal_of(request).run(work)


def _bearer(token: ShownToken, vault: UnlockedVault) -> Fetcher:
    """The bearer of a token of the scope ``download``. Raises as ``bearers.admitted``."""
    own, who = admitted(vault, token, Action.RELEASE_DOWNLOAD, TokenScope.DOWNLOAD)

    def require_again() -> None:
        with own.books.read() as tx:
            access_tokens.holder(own, tx, who.accessor)

    return Fetcher(own, who.project, who.accessor, require_again)


def _opened(who: Fetcher, jobs: ExtractJobs, release_id: str, name: str) -> tuple[Release, int, KeptFile]:
    """An own release that may be handed out, and its file, open. What may not is refused with an entry; what ended by its age is 410."""
    own = who.vault

    def found() -> tuple[Release, int, KeptFile] | None:
        with own.trail.attempting(Action.RELEASE_DOWNLOAD, project=who.project):
            release = own_releases.require(own, who.project, release_id)
        with own.trail.attempting(Action.RELEASE_DOWNLOAD, project=who.project, request=release.request_id):
            if release.content.spooled and present(own) >= spool.until(release):
                return None
            jobs.handed_out.require(own, release)
            opened = spool.opened(jobs.folder, release, name)
            if opened is None:
                raise RefusedError("not_a_file", "the release has no such file here")
        return release, *opened

    answer = told(own, found)
    if answer is None:
        raise HttpProblem(410, "release_expired", "a server keeps a release for 7 days: extract the request again")
    return answer


def _require_again(who: Fetcher, jobs: ExtractJobs, release: Release) -> None:
    """Look again at a download that is being sent: at all that the first look was at. Raises as ``_opened``; HttpProblem 503 ``sealed``."""
    jobs.require_standing()
    who.require_again()
    jobs.handed_out.require(who.vault, own_releases.require(who.vault, who.project, release.release_id))


def _jobs(request: Request) -> ExtractJobs:
    jobs: ExtractJobs = request.app.state.extracts
    return jobs


def _downloads(request: Request) -> Downloads:
    downloads: Downloads = request.app.state.downloads
    return downloads
