"""Extracts that a server makes: some at a time, in threads of their own, into its spool. What waits is an order in the books (``access.extract_orders``):
a server that was killed, ended or sealed goes on with it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vault import gate
from vault.access import access_tokens, extract_orders, releases
from vault.access.access_tokens import Authenticated
from vault.access.extract_orders import ExtractOrder
from vault.errors import GenovaultError, RefusedError, UnavailableError
from vault.extracts.genotype_files import FileChoice
from vault.operations.spooling import HandedOut
from vault.server.problems import HttpProblem
from vault.server.seal import Seal
from vault.session.moments import present
from vault.session.process_lock import process_lock
from vault.session.unlocked_vault import UnlockedVault

AT_ONCE = 1  # extracts in the making: each may take as much memory and as many threads as one of the command line
MOST_WAITING = 16  # of all; and of one person
MOST_OF_ONE = 4
MOST_TRIES = 4  # of one order: its making may be what ends the process


class ExtractJobs:
    """Extracts of one server, and the spool that it keeps. Safe among threads."""

    def __init__(self, seal: Seal, folder: Path) -> None:
        self.folder, self.handed_out = folder, HandedOut()
        self._seal = seal
        self._queued: dict[str, ExtractOrder] = {}
        self._resumed: UnlockedVault | None = None  # whose orders of before are queued
        self._changing = threading.Lock()
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="extract")

    def require_standing(self) -> None:
        """Raises HttpProblem 503 ``sealed``: the server holds no keys, or its slot is gone; GenovaultError: the books cannot be read."""
        self._seal.standing()

    @property
    def live(self) -> frozenset[str]:
        """Ids of the extracts that wait here or are being made."""
        with self._changing:
            return frozenset(self._queued)

    def start(
        self, vault: UnlockedVault, asker: Authenticated, request_id: str, chosen: FileChoice, recipients: Sequence[str]
    ) -> ExtractOrder:
        """Have an extract made, durable on return; the one that is on its way already, where the same was asked for.

        Raises:
            HttpProblem 503: too many wait. As ``extract_orders.find``; UnavailableError: the books cannot be written.
        """
        self.resume(vault)
        order = ExtractOrder(
            release_id=releases.new_id(vault),
            request_id=request_id,
            person=asker.person,
            chosen=chosen,
            recipients=tuple(sorted(set(recipients))),
            tokens=frozenset({asker.accessor}),
            spool=str(self.folder),
            created=present(vault),
        )
        with self._changing:
            known = next((one for one in self._queued.values() if one.is_same(order)), None)
            if known is not None:
                if asker.accessor not in known.tokens:
                    self._keep(vault, replace(known, tokens=known.tokens | order.tokens))
                return known
            theirs = sum(one.person.principal == asker.person.principal for one in self._queued.values())
            if len(self._queued) >= MOST_WAITING or theirs >= MOST_OF_ONE:
                raise HttpProblem(503, "extracts_waiting", "too many extracts wait", {"Retry-After": "60"})
            self._keep(vault, order)
        self._pool.submit(self._make, order.release_id)
        return order

    def resume(self, vault: UnlockedVault, *, anew: bool = False) -> None:
        """Queue what waited when an earlier process ended; once for an unlocked vault, or ``anew``. Raises as ``extract_orders.find``."""
        if self._resumed is vault and not anew:
            return
        with self._changing:
            with vault.books.read() as tx:
                orders = extract_orders.of_spool(vault, tx, str(self.folder))
            found = [one for one in orders if one.state == extract_orders.WAITING and one.release_id not in self._queued]
            self._queued |= {one.release_id: one for one in found}
            self._resumed = vault
        for one in found:
            self._pool.submit(self._make, one.release_id)

    def sweep(self) -> None:
        """Remove what may not be handed out any more, and queue what waits; nothing while the server is sealed or a store does not answer."""
        with suppress(HttpProblem, GenovaultError):
            vault = self._seal.standing()
            self.handed_out.sweep(vault, self.folder, is_idle=lambda: not self.live)
            self.resume(vault, anew=True)

    def close(self) -> None:
        """Stop what is being made, which leaves nothing behind but an entry, and what waits: the next process goes on with both."""
        self._ending.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, release_id: str) -> None:
        """Make the extract of an order that is queued; what cannot be made now waits for the next look."""
        with suppress(GenovaultError, HttpProblem, OSError):
            vault = self._seal.standing()
            with process_lock(vault.folder, f"{release_id}.order") as mine:
                order = self._taken(vault, release_id) if mine else None
                if order is not None:
                    release_id = order.release_id
                    self._keep_outcome(vault, order, self._made(vault, order))
        with self._changing:
            self._queued.pop(release_id, None)

    def _taken(self, vault: UnlockedVault, release_id: str) -> ExtractOrder | None:
        """An order as it is to be made now, counted as begun; None where another process was first, or its release is not ended yet.

        Where an earlier making was stopped, which the log says for good, it goes on under a new id.
        """
        earlier = releases.find(vault, release_id)
        with self._changing, vault.books.write() as tx:
            order = extract_orders.find(vault, tx, release_id)
            if order is None or order.state != extract_orders.WAITING:
                return None
            if earlier is not None and earlier.state == releases.RELEASED:
                extract_orders.keep(vault, tx, replace(order, state=extract_orders.DONE))
                return None
            if earlier is not None and earlier.state != releases.ABORTED:
                return None
            if earlier is not None:
                order = extract_orders.begin_again(vault, tx, order, releases.new_id(vault))
            order = replace(order, tries=order.tries + 1)
            extract_orders.keep(vault, tx, order)
            self._queued.pop(release_id, None)
            self._queued[order.release_id] = order
        return order

    def _made(self, vault: UnlockedVault, order: ExtractOrder) -> str:
        """Outcome of an order; ``WAITING``: this process ends, or has lost its keys."""
        if order.tries > MOST_TRIES:
            return extract_orders.FAILED
        try:
            self._extract(vault, order)
        except (GenovaultError, HttpProblem) as error:
            if self._ending.is_set() or self._seal.unlocked is not vault:
                return extract_orders.WAITING
            return extract_orders.REFUSED if isinstance(error, RefusedError) else extract_orders.FAILED
        return extract_orders.DONE

    def _keep_outcome(self, vault: UnlockedVault, order: ExtractOrder, state: str) -> None:
        with self._changing:
            now = self._queued.get(order.release_id, order)
            cut_short = state == extract_orders.WAITING  # by nothing that the extract has to do with
            self._keep(vault, replace(now, state=state, tries=now.tries - cut_short))

    def _keep(self, vault: UnlockedVault, order: ExtractOrder) -> None:
        """Write an order, and queue it as it is; under the lock. Raises UnavailableError: the books cannot be written."""
        with vault.books.write() as tx:
            extract_orders.keep(vault, tx, order)
        self._queued[order.release_id] = order

    def _extract(self, vault: UnlockedVault, order: ExtractOrder) -> None:
        self._require_asked(vault, order)
        gate.extract(
            vault.acting(order.person),
            order.request_id,
            self.folder / order.release_id,
            order.chosen,
            recipients=order.recipients,
            progress=self._go_on,
            spooled_as=order.release_id,
        )

    def _require_asked(self, vault: UnlockedVault, order: ExtractOrder) -> None:
        """Raises RefusedError ``token_refused``: none of the tokens by which an extract was asked for stands."""
        with self._changing:
            tokens = sorted(self._queued.get(order.release_id, order).tokens)
        with vault.books.read() as tx:
            for accessor in tokens:
                with suppress(RefusedError):
                    access_tokens.holder(vault, tx, accessor)
                    return
        raise access_tokens.refused()

    def _go_on(self, _done: int, _of: int) -> None:
        if self._ending.is_set():
            raise UnavailableError("server_ending", "the server was told to end", hint="it goes on with it at its next start")
