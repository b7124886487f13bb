"""JSON that somebody else wrote."""

import pytest

from embedded.shared.bodies import parsed


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 10_000, b'{"a":' * 10_000])
def test_what_is_no_json_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(raw)


def test_what_is_json_is_its_value() -> None:
    assert parsed(b'{"a": [1, "b", null]}') == {"a": [1, "b", None]}
