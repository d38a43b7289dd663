"""bech32m (BIP-350) of fixed 100-bit values: the spelling of pseudonyms, many at a time.

The human-readable prefix is the project's code and lies inside the checksum, so a pseudonym pasted into another project, or
mistyped in up to four places, is rejected without a look-up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
CONSTANT = 0x2BC830A3
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
DATA_SYMBOLS = 20  # 100 bits
CHECKSUM_SYMBOLS = 6

_LETTERS = np.frombuffer(ALPHABET.encode(), np.uint8)


def encode(prefix: str, tags: NDArray[np.uint8]) -> list[str]:
    """Encode: prefix, "1", 20 data symbols + 6 checksum symbols of the top 100 bits of each row of ``tags`` uint8[n, >=13]."""
    bits = np.unpackbits(tags[:, :13], axis=1)[:, : DATA_SYMBOLS * 5].reshape(len(tags), DATA_SYMBOLS, 5)
    data = (bits @ np.array([16, 8, 4, 2, 1], np.uint8)).astype(np.int64)
    state = np.full(len(tags), _absorb(1, _expand(prefix)), np.int64)
    for column in (*data.T, *np.zeros((CHECKSUM_SYMBOLS, len(tags)), np.int64)):
        state = _step(state, column)
    state ^= CONSTANT
    checksum = np.stack([(state >> 5 * (CHECKSUM_SYMBOLS - 1 - i)) & 31 for i in range(CHECKSUM_SYMBOLS)], axis=1)
    letters = _LETTERS[np.concatenate([data, checksum], axis=1)]
    return [prefix + "1" + row.tobytes().decode() for row in letters]


def check(prefix: str, text: str) -> None:
    """Check that a value is well-formed under this prefix.

    Raises:
        InputError: ``pseudonym_malformed``, the same for a typing error and another project's prefix.
    """
    head, _, rest = text.rpartition("1")
    well_formed = head == prefix and len(rest) == DATA_SYMBOLS + CHECKSUM_SYMBOLS and all(c in ALPHABET for c in rest)
    if not well_formed or not valid(text):
        raise InputError("pseudonym_malformed", "this is not a pseudonym of this project", hint="check for typing errors")


def valid(text: str) -> bool:
    """True if the checksum of any bech32m string holds (BIP-350's own validity, whatever its length up to 90)."""
    if text.lower() != text and text.upper() != text:
        return False
    lowered = text.lower()
    head, separator, rest = lowered.rpartition("1")
    if not separator or not head or len(rest) < CHECKSUM_SYMBOLS or len(text) > 90 or any(c not in ALPHABET for c in rest):
        return False
    if any(not 33 <= ord(c) <= 126 for c in head):
        return False
    return _absorb(1, _expand(head) + [ALPHABET.index(c) for c in rest]) == CONSTANT


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _absorb(state: int, symbols: list[int]) -> int:
    value = np.array([state], np.int64)
    for symbol in symbols:
        value = _step(value, np.array([symbol], np.int64))
    return int(value[0])


def _step(state: NDArray[np.int64], symbol: NDArray[np.int64]) -> NDArray[np.int64]:
    top = state >> 25
    state = ((state & 0x1FFFFFF) << 5) ^ symbol
    for bit, term in enumerate(GENERATOR):
        state = state ^ np.where((top >> bit) & 1, term, 0)
    return state
