"""Reading and writing JSON: quick where text is strict, tolerant where it is not, and the same value either way."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from moengage_personalize import InvalidRequestError, _json

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
    with pytest.raises(ValueError, match=r"a lone surrogate|an object of type|a number that is not finite"):
        _json.dumps([value])


@pytest.mark.parametrize("text", [b'{"c":"canary-\xff"}', '{"c":"canary-\ud800'])
def test_what_cannot_be_read_is_not_kept_by_the_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"at byte|at character") as caught:
        _json.loads(text)
    link: BaseException | None = caught.value
    while link is not None:
        assert "canary" not in repr(link)
        link = link.__context__


class Raises(dict[str, Any]):
    """An object of a caller whose code raises when it is gone through."""

    def items(self) -> Any:
        raise RuntimeError("canary")


class Lazy:
    """A translation that is looked up when it is read, as Django's and Babel's are; no str."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def casefold(self) -> str:
        return self._text.casefold()


LOOP: list[Any] = []
LOOP.append(LOOP)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": Raises(b=1)}, "an object that raises RuntimeError"),
        ({(1, 2): 3}, "a name that is no text"),
        (LOOP, "a value that holds itself"),
        pytest.param(DEEP, "nested too deep", id="deep"),
        pytest.param(10**5000, "a number that is not finite, or has too many digits", id="digits"),
        ({"a": {"canary"}}, "an object of type set"),
    ],
)
def test_why_a_value_is_not_json_is_said_without_the_value(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        _json.dumps(value)
    assert str(caught.value) == reason
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_lazy_text_is_written_as_its_text() -> None:
    assert _json.dumps({"a": Lazy("größe")}) == '{"a":"größe"}'.encode()
    assert type(_json.copy([Lazy("a")], "a list")[0]) is str


@given(VALUES)
def test_a_copy_is_equal_and_of_exact_types(value: Any) -> None:
    copied = _json.copy(value, "a value")
    assert exactly(copied) == exactly(json.loads(json.dumps(value)))
    assert _json.dumps_plain(copied) == _json.dumps(copied) or "e" in exactly(copied)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_values_are_counted_by_commas_and_brackets(commas: int, lists: int, objects: int) -> None:
    text = b"," * commas + b"[" * lists + b"{" * objects
    padded = text + b" " * (_json.MAX_VALUES + 1)
    assert _json.count_values(padded) == commas + lists + objects


@pytest.mark.parametrize("inner", ["[", "{", ",", '\\"[', "[\\\\"])
def test_marks_within_text_are_not_counted_even_behind_escaped_quotes(inner: str) -> None:
    text = ('["' + inner * (_json.MAX_VALUES + 1) + '",1,{"a":2}]').encode()
    assert _json.count_values(text) == 4


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (b" " * _json.MAX_VALUES, _json.MAX_VALUES),
        (b" " * (_json.MAX_VALUES + 1), 0),
        (b'","' + b"," * (_json.MAX_VALUES - 1), _json.MAX_VALUES),
        (b'","' + b"," * _json.MAX_VALUES, _json.MAX_VALUES),
        (b'","' + b"," * (_json.MAX_VALUES + 1), _json.MAX_VALUES + 1),
        (b'"",' * (2 * _json.MAX_VALUES), 2 * _json.MAX_VALUES),
        (b'"",' * (2 * _json.MAX_VALUES + 1), _json.MAX_VALUES),
    ],
    ids=["short", "without marks", "as many as may be", "one in text", "too many", "quotes", "too many quotes"],
)
def test_values_are_counted_as_roughly_as_will_do(text: bytes, count: int) -> None:
    assert _json.count_values(text) == count


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a', "Unterminated string starting at at character 1"),
        (b"\xff", "not utf-8 at byte 0"),
        ("[" * 100_000, "nested too deep"),
        ("9" * 5_000, "a number of too many digits"),
    ],
    ids=["cut", "bytes", "deep", "digits"],
)
def test_why_a_text_is_not_json_is_said(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        _json.loads(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "another JSON value"),
        ('{"a": NaN}', "a number that is not finite, or has too many digits"),
        ('["\\ud800"]', "a lone surrogate"),
        ("{", "Expecting .* at character 1"),
        (5, "a bytes-like object is required, not 'int'"),
    ],
)
def test_what_came_back_and_is_no_object_is_refused_with_the_reason(text: Any, reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^expected a context as a JSON object, got {reason}$"):
        _json.read_object(text, "a context")


def test_the_first_field_that_is_not_json_is_named() -> None:
    fields = {"good": 1, "bad": {1}, "worse": float("nan")}
    assert _json.first_invalid(fields) == ("bad", "an object of type set")
    assert _json.is_json({"good": 1})
    with pytest.raises(InvalidRequestError, match=r"^expected an event to be JSON, got an object of type set$"):
        _json.copy(fields, "an event")
