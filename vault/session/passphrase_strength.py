"""Strength of a new passphrase: whoever steals a vault's folder may guess at it for as long as they like.

Guesses are estimated by zxcvbn (Wheeler, USENIX Security 2016): the order in which a cracker who knows common passwords, names, dates and
keyboard patterns would come to it.
"""

from __future__ import annotations

from vault.errors import InputError

MIN_GUESSES = 10**10  # zxcvbn's highest class; at a tenth of a second for each, with 64 MiB of memory, 30 years of one processor
_LONGEST = 72  # characters that zxcvbn looks at: what lies behind them only adds


def require_strong(passphrase: str) -> None:
    """Refuse a passphrase that is guessed soon. Raises InputError ``passphrase_weak``."""
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its word lists load when a passphrase is chosen, not with every command

    if zxcvbn(passphrase[:_LONGEST], user_inputs=["genovault", "vault"])["guesses"] < MIN_GUESSES:
        raise InputError(
            "passphrase_weak",
            "the passphrase is guessed too soon",
            hint="take four or more words that do not belong together, or a key file",
        )
