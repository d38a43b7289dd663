"""A vault behind a server in a process of its own, as it is in use: started by the command, spoken to over HTTP."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from policies.token_scopes import TokenScope
from tests.support import vaults
from tests.support.vaults import opened
from vault.access import access_tokens
from vault.access.token_bindings import TokenBinding
from vault.crypto.keystore import Role
from vault.session import principals
from vault.session.unlocked_vault import UnlockedVault

PASSPHRASE = "passphrase of the service"


@dataclass(frozen=True)
class Served:
    """A vault's folder, a server's address, and a client that shows a token of ``rita``, with scopes read and engine."""

    folder: Path
    url: str
    client: httpx.Client
    token: str
    process: subprocess.Popen[bytes]

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers=headers)


def staffed(folder: Path) -> str:
    """A vault in an empty folder with a service, and an engine ``matcher`` of the project ``served``; the engine's token."""
    vault = vaults.copy(folder)
    staff(vault)
    with opened(vault) as s:
        return issue(s)


def staff(vault: Path) -> None:
    """A service, two researchers and their project, in a vault that has none."""
    vaults.add_role(vault, Role.SERVICE)
    with opened(vault) as s:
        principals.add(s, "rita", Role.RESEARCHER, None)
        principals.add(s, "rob", Role.RESEARCHER, None)
        vaults.approve(s, "served", "cohort", people=["rita", "rob"])


def issue(
    s: UnlockedVault,
    who: str = "rita",
    *scopes: TokenScope,
    project: str = "served",
    binding: TokenBinding = TokenBinding(),  # noqa: B008 - frozen
) -> str:
    """A token of one project."""
    chosen, until = scopes or (TokenScope.READ, TokenScope.ENGINE), s.clock() + timedelta(days=1)
    text, _ = access_tokens.issue(s, who, project=project, scopes=chosen, expires=until, binding=binding)
    return text.reveal().decode()


@contextmanager
def serving(
    vault: Path,
    *options: str,
    token: str = "",
    sealed: bool = False,
    socket_of: Path | None = None,
    trust: ssl.SSLContext | None = None,
) -> Iterator[Served]:
    """A server over a vault, on a free port of this machine; ended as a service manager ends it. ``trust``: how its TLS is checked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "import genovault_start; genovault_start.command()",
        "--vault",
        str(vault),
        "--as",
        "service",
        "serve",
        "--listen",
        f"127.0.0.1:{port}",
    ]
    if sealed:
        command.append("--sealed")
    environment = {**os.environ, "GENOVAULT_PASSPHRASE": PASSPHRASE}
    process = subprocess.Popen([*command, *options], env=environment, stderr=subprocess.PIPE)
    url = f"http{'s' if trust else ''}://127.0.0.1:{port}"
    try:
        through = None if socket_of is None else httpx.HTTPTransport(uds=str(socket_of))
        with httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, transport=through, verify=trust or True
        ) as client:
            _wait(client, process, socket_of)
            yield Served(vault, url, client, token, process)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _wait(client: httpx.Client, process: subprocess.Popen[bytes], socket_of: Path | None) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(process.stderr.read().decode() if process.stderr else "")
        if socket_of is None or listens(socket_of):
            try:
                client.get("/livez")
            except httpx.TransportError:
                pass
            else:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not begin")


def listens(place: Path) -> bool:
    """True once a server takes connections at a Unix socket. A client that asked before would leave its own socket open."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(place)) == 0
