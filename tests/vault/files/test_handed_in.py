"""Text that people hand in, whichever program saved it."""

import pytest

from vault.errors import InputError
from vault.files.handed_in import text_of


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_not_text(mark):
    assert text_of(mark + "größe\r\n".encode(), name="x") == "größe\r\n"


@pytest.mark.parametrize(("raw", "what"), [(b"caf\xe9", "not UTF-8"), ("a".encode("utf-16"), "UTF-16")])
def test_another_encoding_is_named(raw, what):
    with pytest.raises(InputError, match=rf"x\.csv is {what}") as refused:
        text_of(raw, name="x.csv", code="sheet")
    assert refused.value.code == "sheet"
    assert "UTF-8" in refused.value.hint
