"""New passphrases that a thief of the folder would guess are refused."""

import pytest

from vault.errors import InputError
from vault.session.passphrase_strength import require_strong


@pytest.mark.parametrize(
    "weak", ["a", "new", "password1234", "Summer2026!", "a" * 200, "genovault-vault", "qwertyuiop[]", "12.05.1980"]
)
def test_what_is_guessed_soon_is_refused_without_being_repeated(weak):
    with pytest.raises(InputError) as caught:
        require_strong(weak)
    assert caught.value.code == "passphrase_weak"
    assert weak not in f"{caught.value.message} {caught.value.hint}" or len(weak) == 1


@pytest.mark.parametrize(
    "strong", ["correct horse battery", "gelbe Tomaten im Regen", "x7Kq9zRt+uV2", "ä" * 3 + "öß kartoffel zug"]
)
def test_what_is_not_is_taken(strong):
    require_strong(strong)
