"""A vault behind a server, and its panels: what an engine asks (docs/engine.md)."""

from __future__ import annotations

import base64
import binascii
import os
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from vault.client import addresses
from vault.client.answer_reading import malformed, read_answer
from vault.client.arrow_reading import read_genotypes, read_sites, said_names, said_number
from vault.client.channel import ARROW, BearerToken, ServerAnswer, ServerChannel
from vault.client.panel_genotypes import PanelGenotypes
from vault.client.panel_mirror import PanelMirror
from vault.client.server_answers import (
    ChangesAnswer,
    PanelsAnswer,
    ProjectsAnswer,
    ServedCounts,
    ServedMatch,
    ServedMatchCounts,
    ServedPanelName,
    ServedProject,
)
from vault.errors import InputError, RefusedError, UnavailableError, UsageError
from vault.genotypes.sites import Sites

MOST_NAMED = 1_000  # pseudonyms in one question
_TABLES = 16  # site tables that are kept
T = TypeVar("T")


class ServedVault:
    """A vault behind a server, made by ``vault.connect``. Use it as a context manager or call ``close``. Safe among threads."""

    def __init__(self, channel: ServerChannel) -> None:
        self._channel = channel

    def __repr__(self) -> str:
        return f"ServedVault({self._channel!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._channel.close()

    def projects(self) -> tuple[ServedProject, ...]:
        """Projects of the token. Scope ``read``. Raises as ``ServerChannel.ask``."""
        return read_answer(ProjectsAnswer, self._channel.ask("GET", "/v1/projects").body).projects

    def panels(self, project: str) -> tuple[ServedPanelName, ...]:
        """Panels of a project's datasets, in their newest versions. Scope ``read``. Raises as ``ServerChannel.ask``."""
        return read_answer(PanelsAnswer, self._channel.ask("GET", _path(project, "panels")).body).panels

    def panel(self, project: str, *, dataset: str, name: str) -> ServedPanel:
        """Name a panel to ask of; nothing is asked yet. Scope ``engine``."""
        return ServedPanel(self._channel, project, dataset, name)

    def counts(
        self,
        *,
        project: str,
        dataset: str,
        alleles: Sequence[str] = (),
        panel: str | None = None,
        epsilon: float | str | None = None,
        accuracy: int | None = None,
    ) -> ServedCounts:
        """Noisy numbers of the people who carry alleles, charged to budgets: as ``vault.api.Vault.counts``. Raises as ``ServerChannel.ask``."""
        return self._counted("counts", project, dataset, alleles, panel=panel, exact=(epsilon, accuracy))

    def presence(
        self,
        *,
        project: str,
        dataset: str,
        alleles: Sequence[str] = (),
        panel: str | None = None,
        epsilon: float | str | None = None,
        accuracy: int | None = None,
    ) -> ServedCounts:
        """As ``counts``, but without numbers: as ``vault.api.Vault.presence``. Raises as ``ServerChannel.ask``."""
        return self._counted("presence", project, dataset, alleles, panel=panel, exact=(epsilon, accuracy))

    def receipt(self, entry: int) -> str:
        """Proof (tlog-proof text) that an entry of the log is in it, of what was done for this token's principal.

        Raises:
            UnavailableError: ``receipt_pending``: the log's head was not signed since; ask again. As ``ServerChannel.ask``.
        """
        return self._channel.ask("GET", f"/v1/receipts/{int(entry)}", accept="text/plain").body.decode("utf-8", "replace")

    def _counted(
        self,
        kind: str,
        project: str,
        dataset: str,
        alleles: Sequence[str],
        *,
        panel: str | None,
        exact: tuple[float | str | None, int | None],
    ) -> ServedCounts:
        if isinstance(alleles, str):
            raise UsageError("argument_type", "alleles is several str, not one")
        body = {"dataset": dataset, "kind": kind, "alleles": list(alleles)} | _exactness(*exact)
        if panel is not None:
            body["panel"] = panel
        return read_answer(ServedCounts, self._channel.ask("POST", _path(project, "counts"), body=body).body)


class ServedPanel:
    """Panel of a project's dataset behind a server. Site tables that came are kept. Safe among threads."""

    def __init__(self, channel: ServerChannel, project: str, dataset: str, name: str) -> None:
        self._channel, self.project, self.dataset, self.name = channel, project, dataset, name
        self._tables: dict[str, Sites] = {}
        self._keeping = threading.Lock()

    def __repr__(self) -> str:
        return f"ServedPanel({self.project}, {self.dataset}, {self.name})"

    def genotypes(self, pseudonyms: Sequence[str] | None = None, *, since: str | None = None) -> PanelGenotypes:
        """Give the genotypes of everybody whose consent permits it at this moment, or of those of them who are named.

        Somebody's row is the same whoever else is asked for; who is not there or not permitted is left out. ``since``, a cursor: only rows that came
        since, and in ``drop`` the pseudonyms that are not to be held any more.

        Raises:
            UsageError: ``argument_type``; ``since_and_names``. InputError: ``cursor_invalid``: read all again. As ``ServerChannel.ask``.
        """
        if isinstance(pseudonyms, str):
            raise UsageError("argument_type", "pseudonyms is several str, not one")
        if pseudonyms is not None and since is not None:
            raise UsageError("since_and_names", "give pseudonyms or a cursor, one of the two")
        body: dict[str, object] = {"dataset": self.dataset}
        if pseudonyms is not None:
            named = list(dict.fromkeys(pseudonyms))
            if len(named) > MOST_NAMED:
                raise UsageError("argument_type", f"one question names at most {MOST_NAMED:,} people")
            body["pseudonyms"] = named
        if since is not None:
            body["since"] = since
        body["sites"] = not self._tables
        for _ in range(3):  # sites may be others again by the time that their table is asked for
            table = read_genotypes(self._ask("genotypes", body).body)
            said = table.said
            sites_id = said.get("sites_id", "")
            sites = self._told_sites(sites_id, said.get("site_table", "")) or self.sites(sites_id)
            if sites is not None:
                break
            body["sites"] = True
        else:
            raise UnavailableError("sites_changing", "the panel's sites changed while they were read", hint="try again")
        if len(sites) != table.alleles.shape[1]:
            raise malformed()
        return PanelGenotypes(
            pseudonyms=table.pseudonyms,
            sites=sites,
            by_person=table.alleles,
            phased_by_person=table.phased,
            assembly=said.get("assembly", ""),
            not_assayed=said_names(said, "not_assayed"),
            sites_id=sites_id,
            entry=said_number(said, "entry"),
            cursor=said.get("cursor", ""),
            drop=said_names(said, "drop"),
            whole=said.get("whole", "true") == "true",
        )

    def sites(self, sites_id: str) -> Sites | None:
        """Site table of an answer; None where the panel's sites are others by now. Raises as ``ServerChannel.ask``, without ``refused``."""
        with self._keeping:
            if sites_id in self._tables:
                return self._tables[sites_id]
        query = {"dataset": self.dataset}
        try:
            answer = self._channel.ask(
                "GET", _path(self.project, "panels", self.name, "sites", sites_id), query=query, accept=ARROW
            )
        except RefusedError as error:
            if error.code != "refused":
                raise
            return None
        return self._keep(sites_id, read_sites(answer.body))

    def _told_sites(self, sites_id: str, text: str) -> Sites | None:
        """Site table that came with an answer; None where none did. Raises UnavailableError ``answer_malformed``."""
        if not text:
            return None
        try:
            return self._keep(sites_id, read_sites(base64.b64decode(text, validate=True)))
        except binascii.Error:
            raise malformed() from None

    def _keep(self, sites_id: str, table: Sites) -> Sites:
        with self._keeping:
            self._tables[sites_id] = table
            while len(self._tables) > _TABLES:
                del self._tables[next(iter(self._tables))]
        return table

    def changes(self, since: str, *, wait: float = 0.0) -> ChangesAnswer:
        """Tell who came, and who is not to be held any more, since a cursor; ``wait``: at most so many seconds (30) until there is something.

        Raises:
            UsageError: ``argument_type``. InputError: ``cursor_invalid``: read all again. As ``ServerChannel.ask``.
        """
        if not 0 <= wait <= 30:
            raise UsageError("argument_type", "wait is 0 to 30 seconds")
        query = {"dataset": self.dataset, "since": since, "wait": str(int(wait))}
        answer = self._channel.ask("GET", _path(self.project, "panels", self.name, "changes"), query=query, wait=wait)
        return read_answer(ChangesAnswer, answer.body)

    def match(self, criteria: str) -> ServedMatch:
        """Tell for whom each criterion of an approved pack, ``"NAME@VERSION"``, holds: as ``vault.api.Vault.match``. Raises as ``ServerChannel.ask``."""
        return self._matched(ServedMatch, {"criteria": criteria})

    def match_counts(
        self, criteria: str, *, epsilon: float | str | None = None, accuracy: int | None = None
    ) -> ServedMatchCounts:
        """Noisy numbers of the people for whom each criterion holds, charged: as ``vault.api.Vault.match_counts``. Raises as ``match``."""
        return self._matched(ServedMatchCounts, {"criteria": criteria, "count": True} | _exactness(epsilon, accuracy))

    def follow(self, *, wait: float = 25.0) -> PanelMirror:
        """A local copy of the panel's rows that is kept as the vault permits: iterate over it. ``wait``: seconds of each question. Raises as ``genotypes``."""
        return PanelMirror(self.genotypes, self.changes, wait=wait)

    def _matched(self, kind: type[T], asked: dict[str, object]) -> T:
        body = {"dataset": self.dataset, "panel": self.name} | asked
        return read_answer(kind, self._channel.ask("POST", _path(self.project, "match"), body=body).body)

    def _ask(self, what: str, body: dict[str, object]) -> ServerAnswer:
        return self._channel.ask("POST", _path(self.project, "panels", self.name, what), body=body, accept=ARROW)


def connect(
    url: str,
    *,
    token: str,
    unix: str | os.PathLike[str] | None = None,
    certificate: str | os.PathLike[str] | None = None,
    client_certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
    timeout: float = 60.0,
) -> ServedVault:
    """Reach a server. Arguments, and what it raises, as ``vault.connect``."""
    address = addresses.address_of(url, unix=unix, certificate=certificate, client_certificate=client_certificate)
    shown = token.strip()
    if not shown.isascii() or not shown.isprintable() or " " in shown or not shown:
        raise InputError("token_malformed", "this is no access token", hint="genovault principal token")
    return ServedVault(ServerChannel(address, BearerToken(shown), timeout=timeout))


def _path(project: str, *parts: str) -> str:
    return "/v1/projects/" + "/".join(quote(part, safe="") for part in (project, *parts))


def _exactness(epsilon: float | str | None, accuracy: int | None) -> dict[str, object]:
    said = f"{epsilon:.6f}" if isinstance(epsilon, float | int) else epsilon
    return {name: value for name, value in (("epsilon", said), ("accuracy", accuracy)) if value is not None}
