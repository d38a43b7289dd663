"""Extracts that a server makes: some at a time, in threads of their own, into its spool. What waits is remembered by this process and a note."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vault import gate
from vault.access import access_tokens, releases, spool
from vault.access.access_tokens import Authenticated
from vault.errors import GenovaultError, RefusedError, UnavailableError
from vault.extracts.genotype_files import FileChoice
from vault.operations.spooling import HandedOut
from vault.server.problems import HttpProblem
from vault.server.seal import Seal
from vault.session.on_behalf import OnBehalf
from vault.session.unlocked_vault import UnlockedVault

AT_ONCE = 1  # extracts in the making: each may take as much memory and as many threads as one of the command line
MOST_WAITING = 16  # of all; and of one person
MOST_OF_ONE = 4


@dataclass(frozen=True)
class ExtractJob:
    """An extract of one person's request that waits or is being made, under the id that its release will have. ``tokens``: accessors of all by which it
    was asked for; one that stands is enough.
    """

    release_id: str
    request_id: str
    person: OnBehalf
    chosen: FileChoice
    recipients: tuple[str, ...]
    tokens: set[str]


class ExtractJobs:
    """Extracts of one server, and the spool that it keeps. Safe among threads."""

    def __init__(self, seal: Seal, folder: Path) -> None:
        self.folder, self.handed_out = folder, HandedOut()
        self._seal = seal
        self._jobs: dict[str, ExtractJob] = {}
        self._changing = threading.Lock()
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="extract")

    def require_standing(self) -> None:
        """Raises HttpProblem 503 ``sealed``: the server holds no keys, or its slot is gone; GenovaultError: the books cannot be read."""
        self._seal.standing()

    @property
    def live(self) -> frozenset[str]:
        """Ids of the extracts that wait or are being made."""
        with self._changing:
            return frozenset(self._jobs)

    def start(
        self, vault: UnlockedVault, asker: Authenticated, request_id: str, chosen: FileChoice, recipients: Sequence[str]
    ) -> ExtractJob:
        """Have an extract made; the one that is on its way already, where the same was asked for.

        Raises:
            HttpProblem 503: too many wait. UnavailableError: ``output_unwritable``.
        """
        job = ExtractJob(
            releases.new_id(vault), request_id, asker.person, chosen, tuple(sorted(set(recipients))), {asker.accessor}
        )
        with self._changing:
            for one in self._jobs.values():
                if (one.request_id, one.person, one.chosen, one.recipients) == (request_id, asker.person, chosen, job.recipients):
                    one.tokens.add(asker.accessor)
                    return one
            theirs = sum(one.person.principal == asker.person.principal for one in self._jobs.values())
            if len(self._jobs) >= MOST_WAITING or theirs >= MOST_OF_ONE:
                raise HttpProblem(503, "extracts_waiting", "too many extracts wait", {"Retry-After": "60"})
            spool.note(self.folder, job.release_id, request_id, spool.WAITING)
            self._jobs[job.release_id] = job
        self._pool.submit(self._make, job)
        return job

    def sweep(self) -> None:
        """Remove what may not be handed out any more; nothing while the server is sealed or a store does not answer."""
        with suppress(HttpProblem, GenovaultError):
            self.handed_out.sweep(self._seal.standing(), self.folder, is_idle=lambda: not self.live)

    def close(self) -> None:
        """Stop what is being made, which leaves nothing behind but an entry, and what waits."""
        self._ending.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, job: ExtractJob) -> None:
        ended: str | None = spool.FAILED
        try:
            self._extract(job)
            ended = None
        except RefusedError:
            ended = spool.REFUSED
        except (GenovaultError, HttpProblem):
            pass
        finally:
            with suppress(GenovaultError):  # a full disk: it is said to be lost
                if ended is None:
                    spool.forget(self.folder, job.release_id)
                elif not self._ending.is_set():
                    spool.note(self.folder, job.release_id, job.request_id, ended)
            with self._changing:
                del self._jobs[job.release_id]

    def _extract(self, job: ExtractJob) -> None:
        vault = self._seal.standing()
        self._require_asked(vault, job)
        gate.extract(
            vault.acting(job.person),
            job.request_id,
            self.folder / job.release_id,
            job.chosen,
            recipients=job.recipients,
            progress=self._go_on,
            spooled_as=job.release_id,
        )

    def _require_asked(self, vault: UnlockedVault, job: ExtractJob) -> None:
        """Raises RefusedError ``token_refused``: none of the tokens by which a job was asked for stands."""
        with self._changing:
            tokens = sorted(job.tokens)
        with vault.books.read() as tx:
            for accessor in tokens:
                with suppress(RefusedError):
                    access_tokens.holder(vault, tx, accessor)
                    return
        raise access_tokens.refused()

    def _go_on(self, _done: int, _of: int) -> None:
        if self._ending.is_set():
            raise UnavailableError("server_ending", "the server was told to end", hint="ask again")
