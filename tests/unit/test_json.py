"""Reading and writing JSON: quick where text is strict, tolerant where it is not, and the same value either way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from moengage_personalize import _json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def exactly(value: Any) -> str:
    """A text that tells 1, 1.0 and True apart."""
    return repr(value)


@given(VALUES, st.booleans())
def test_strict_text_is_read_as_the_standard_library_reads_it(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    read, strict = _json.read(text)
    assert strict
    assert exactly(read) == exactly(json.loads(text))
    assert _json.dumps(read) == _json.dumps(value)


@given(st.text(alphabet='{}[]",:0123456789.eE+-NaInfity\\u d8ftrue\n') | st.binary().map(bytes))
def test_any_text_is_a_value_or_a_value_error_without_the_text(text: str | bytes) -> None:
    try:
        expected = exactly(json.loads(text))
    except ValueError:
        with pytest.raises(ValueError, match=r"^[^{\[\"]*$"):
            _json.loads(text)
    else:
        assert exactly(_json.loads(text)) == expected


@pytest.mark.parametrize("text", [b"NaN", b'["\\ud800"]', b"-Infinity", b"1e999"])
def test_what_is_not_strict_is_read_and_told(text: bytes) -> None:
    read, strict = _json.read(text)
    assert not strict
    assert not _json.is_json(read)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", b"", {1, 2}, object()])
def test_what_is_not_json_is_not_written(value: Any) -> None:
    assert not _json.is_json([value])
    with pytest.raises(ValueError, match=r"a lone surrogate|JSON"):
        _json.dumps([value])


@pytest.mark.parametrize("text", [b'{"c":"canary-\xff"}', '{"c":"canary-\ud800'])
def test_what_cannot_be_read_is_not_kept_by_the_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"at byte|at character") as caught:
        _json.loads(text)
    link: BaseException | None = caught.value
    while link is not None:
        assert "canary" not in repr(link)
        link = link.__context__
