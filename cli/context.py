"""The global options as each command gets them: vault, principal, unlock factor, output format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.output import Output
from cli.prompts import ask_passphrase
from vault.errors import GenovaultError, UsageError

if TYPE_CHECKING:
    from vault.audit.actions import Action
    from vault.session.unlocked_vault import Opener, UnlockedVault

_HELD: list[Opener] = []  # the slot that an unlock agent holds, in a process that it has begun for one command


def hold(factor: Opener) -> None:
    """Let this process's command open its vault with a slot that is open already, unless it is given another factor."""
    _HELD[:] = [factor]


@dataclass(frozen=True)
class Context:
    """The global options of one run."""

    output: Output
    folder: Path | None = None
    principal: str | None = None
    passphrase_file: Path | None = None
    key_file: Path | None = None

    def vault_folder(self) -> Path:
        """The vault's folder.

        Raises:
            UsageError: ``vault_not_named``: neither --vault nor GENOVAULT_HOME is given.
        """
        if self.folder is None:
            raise UsageError("vault_not_named", "no vault is named", hint="give --vault DIR or set GENOVAULT_HOME")
        return self.folder

    def passphrase(self, *, new: bool = False) -> str:
        """The passphrase of the principal's slot; ``new`` asks twice. Raises as ``ask_passphrase``."""
        return ask_passphrase(self.passphrase_file, new=new)

    def factor(self) -> Opener:
        """Unlock factor of the principal's slot: the key file, else the passphrase.

        Raises as ``ask_passphrase`` and ``unlocked_vault.factor``.
        """
        from vault.session.unlocked_vault import factor

        if _HELD and self.key_file is None and self.passphrase_file is None:
            return _HELD[0]
        return factor(key_file=self.key_file) if self.key_file is not None else factor(passphrase=self.passphrase())

    @contextmanager
    def open(self, *, guarded: bool = True) -> Iterator[UnlockedVault]:
        """The vault, unlocked and recovered; closing it signs the log. A folder without a vault is told before a passphrase is asked.

        ``guarded=False`` opens also what its anchors refuse, and signs nothing unless the block ends well.

        Raises as ``open_recovered``, ``ask_passphrase`` and ``unlocked_vault.factor``.
        """
        from vault.operations.recovery import open_recovered
        from vault.session.settings import read_settings
        from vault.session.unlocked_vault import open_vault

        folder = self.vault_folder()
        read_settings(folder)
        secret = self.factor()
        opening = open_recovered if guarded else open_vault
        vault = opening(folder, factor=secret, principal=self.principal)
        try:
            yield vault
        except BaseException:
            with suppress(GenovaultError):  # the first error is the one that the person has to mend
                vault.close() if guarded else vault.abandon()
            raise
        vault.close()

    @contextmanager
    def diagnosing(self) -> Iterator[tuple[UnlockedVault, GenovaultError | None]]:
        """The vault, and why it is refused as put back, edited or without its keys, if it is: then nothing is recovered or signed in it.

        Raises as ``open``; at the end, the refusal.
        """
        from vault.session.settings import read_settings

        folder = self.vault_folder()
        read_settings(folder)
        secret = self.factor()
        with ExitStack() as stack:
            vault, refused = _opened_for_looking(folder, secret, self.principal, stack)
            try:
                yield vault, refused
            except BaseException:
                with suppress(GenovaultError):
                    vault.abandon() if refused else vault.close()
                raise
            self._looked_at(vault, refused)

    @contextmanager
    def copying(self) -> Iterator[UnlockedVault]:
        """The vault as ``open``, for a copy of its data; also where its key database is lost, which is said."""
        from vault.errors import UnavailableError
        from vault.operations import lost_keys

        with ExitStack() as stack:
            try:
                vault = stack.enter_context(self.open())
            except UnavailableError as error:
                if self.folder is None or not lost_keys.is_lost(self.folder, error):
                    raise
                self.output.warn(f"{error.message}: only the data are copied, to be restored with a backup of the keys")
                vault = stack.enter_context(lost_keys.opened(self.folder, factor=self.factor(), principal=self.principal))
                stack.callback(vault.close)
            yield vault

    def _looked_at(self, vault: UnlockedVault, refused: GenovaultError | None) -> None:
        if refused is None or _mended(vault, refused):
            vault.close()
            return
        vault.abandon()
        raise refused

    def mention_compiling(self) -> None:
        """Say on stderr that, or why, a command that computes on genotypes begins with compiling its code."""
        from vault.genotypes.compute.kernel_cache import notice

        text = notice()
        if text:
            self.output.warn(text)

    @contextmanager
    def reading(self, act: Action, **fields: Any) -> Iterator[UnlockedVault]:
        """The vault for a command that only looks: logged as ``act`` when the block ends, failed where it does not end well.

        Show what was read after the block: then the entry is durable, and signed, before anyone sees anything.
        """
        from vault.audit.actions import Outcome

        with self.open() as vault, vault.trail.attempting(act, **fields):
            yield vault
            vault.trail.record(act, Outcome.DONE, **fields)


def _mended(vault: UnlockedVault, refused: GenovaultError) -> bool:
    """True if the block has kept marks anew that were missing, or taken out what was added, and nothing else is refused."""
    from vault.operations import put_back

    mended = refused.code == "marks_missing" or (refused.code == "collection_altered" and not vault.books.altered())
    return mended and not list(put_back.refusals(vault))


def _opened_for_looking(
    folder: Path, secret: Opener, principal: str | None, stack: ExitStack
) -> tuple[UnlockedVault, GenovaultError | None]:
    """The vault, and the error with which an opening for work refuses it."""
    from vault.errors import IntegrityError, UnavailableError
    from vault.operations import lost_keys
    from vault.operations.recovery import open_recovered
    from vault.session.unlocked_vault import open_vault

    try:
        return open_recovered(folder, factor=secret, principal=principal, looking=True), None
    except (IntegrityError, UnavailableError) as error:
        if lost_keys.is_lost(folder, error):
            return stack.enter_context(lost_keys.opened(folder, factor=secret, principal=principal)), lost_keys.lost(error)
        if isinstance(error, UnavailableError) and error.code != "anchor_unreachable":
            raise
        return open_vault(folder, factor=secret, principal=principal), error


def context_of(ctx: typer.Context) -> Context:
    """The run's Context, which the root command left in typer's own."""
    found = ctx.find_object(Context)
    if found is None:
        raise RuntimeError("the root command has not run")
    return found
