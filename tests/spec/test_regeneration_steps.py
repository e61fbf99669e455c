"""The pure parts of a regeneration, tested with values."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from test_generated import DOCUMENT

from regeneration import StepFailed, changes, command, overlay, source

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=10,
)


def apply(document: Any, *actions: dict[str, Any]) -> Any:
    return overlay.apply(document, {"overlay": "1.1.0", "actions": list(actions)})


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"target": "$.a", "update": {"c": 2}}, {"a": {"b": 1, "c": 2}, "l": [1, 2, 3], "t": "x"}),
        ({"target": "$.a", "update": {"b": {"d": 1}}}, {"a": {"b": {"d": 1}}, "l": [1, 2, 3], "t": "x"}),
        ({"target": "$.l", "update": 4}, {"a": {"b": 1}, "l": [1, 2, 3, 4], "t": "x"}),
        ({"target": "$.l", "update": [4, 5]}, {"a": {"b": 1}, "l": [1, 2, 3, 4, 5], "t": "x"}),
        ({"target": "$.t", "update": "y"}, {"a": {"b": 1}, "l": [1, 2, 3], "t": "y"}),
        ({"target": "$", "update": {"n": None}}, {"a": {"b": 1}, "l": [1, 2, 3], "t": "x", "n": None}),
        ({"target": "$.t", "remove": True}, {"a": {"b": 1}, "l": [1, 2, 3]}),
        ({"target": "$.l[0, 1]", "remove": True}, {"a": {"b": 1}, "l": [3], "t": "x"}),
        ({"target": "$.l[?@ > 1]", "remove": True}, {"a": {"b": 1}, "l": [1], "t": "x"}),
        ({"target": "$..b", "remove": True}, {"a": {}, "l": [1, 2, 3], "t": "x"}),
        ({"target": "$.a", "x-expect": {"b": 1}, "update": {}}, {"a": {"b": 1}, "l": [1, 2, 3], "t": "x"}),
    ],
)
def test_an_action_does_what_the_specification_says(action: dict[str, Any], expected: Any) -> None:
    document = {"a": {"b": 1}, "l": [1, 2, 3], "t": "x"}
    before = copy.deepcopy(document)
    assert apply(document, action) == expected
    assert document == before


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ({"target": "$.missing", "update": {}}, "expected at least one match, got none"),
        ({"target": "$.r", "update": {}}, "got a $ref"),
        ({"target": "$.a", "x-expect": {"b": 2}, "update": {}}, "expected to replace {'b': 2}, got {'b': 1}"),
        ({"target": "$.a", "x-expect": {"c": 1}, "update": {}}, "expected to replace {'c': 1}"),
        ({"target": "$.long", "x-expect": "s", "update": 1}, "got 'sssss"),
        ({"target": "$.a"}, "expected either update or remove"),
        ({"target": "$.a", "update": {}, "remove": True}, "expected either update or remove"),
        ({"target": "$", "remove": True}, "expected something inside the document to remove"),
    ],
)
def test_an_action_that_does_not_fit_is_named_and_so_is_every_other(action: dict[str, Any], reason: str) -> None:
    document = {"a": {"b": 1}, "r": {"$ref": "#/a"}, "long": "s" * 500}
    with pytest.raises(StepFailed) as caught:
        apply(document, action | {"description": "First."}, {"target": "$.no", "update": 1})
    text = str(caught.value)
    assert "overlay: 2 action(s) no longer fit the document" in text
    assert "  - First.\n" in text
    assert "  - (an action without a description)\n      target: $.no\n" in text
    assert reason in text
    assert len(text) < 700


def test_another_version_of_overlay_is_refused() -> None:
    with pytest.raises(StepFailed, match=r"expected an OpenAPI Overlay 1\.1 document, got version '1\.0\.0'"):
        overlay.apply({}, {"overlay": "1.0.0", "actions": []})


@given(old=JSON, new=JSON)
def test_merging_keeps_what_is_new_and_what_is_not_touched(old: Any, new: Any) -> None:
    merged = overlay.merge(copy.deepcopy(old), new)
    if isinstance(old, dict) and isinstance(new, dict):
        assert merged.keys() == old.keys() | new.keys()
        assert all(merged[key] == old[key] for key in old.keys() - new.keys())
    elif isinstance(old, list):
        assert merged[: len(old)] == old
    else:
        assert merged == new


@given(value=JSON)
def test_everything_contains_itself(value: Any) -> None:
    assert overlay.contains(value, value)


def edition(request: Any = None, answer: Any = None, **more: Any) -> Any:
    def json(schema: Any) -> Any:
        return {"application/json": {"schema": schema or {}}}

    operation = {"requestBody": {"content": json(request)}, "responses": {"200": {"content": json(answer)}}}
    return {"openapi": "3.0.3", "paths": {"/x": {"post": operation | more.pop("operation", {})}}, **more}


def told(old: Any, new: Any) -> list[tuple[bool, str]]:
    return [(change.breaking, change.text.removeprefix("POST /x: ")) for change in changes.between(old, new)]


def closed(*values: str) -> Any:
    return {"type": "object", "properties": {"a": {"type": "string", "enum": list(values)}}}


REQUEST, ANSWER = "request application/json", "response 200 application/json"


@pytest.mark.parametrize(
    ("old", "new", "request_change", "answer_change"),
    [
        (
            {"properties": {}},
            {"properties": {"a": {"type": "string"}}},
            (False, " .a added"),
            (False, " .a added"),
        ),
        (
            {"properties": {}},
            {"properties": {"a": {"type": "string"}}, "required": ["a"]},
            (True, " .a added and required"),
            (False, " .a added"),
        ),
        ({"properties": {"a": {}}}, {"properties": {}}, (True, " .a removed"), (True, " .a removed")),
        (
            {"properties": {"a": {}}},
            {"properties": {"a": {}}, "required": ["a"]},
            (True, " .a is now required"),
            (False, " .a is now required"),
        ),
        (
            {"properties": {"a": {}}, "required": ["a"]},
            {"properties": {"a": {}}},
            (False, " .a is no longer required"),
            (True, " .a is no longer required"),
        ),
        (
            {"type": "string"},
            {"oneOf": [{"type": "string"}, {"type": "object"}]},
            (False, " type string -> object|string"),
            (True, " type string -> object|string"),
        ),
        ({"type": "string"}, {}, (False, " type string -> any"), (True, " type string -> any")),
        ({}, {"type": "string"}, (True, " type any -> string"), (False, " type any -> string")),
        (
            {"type": "string"},
            {"type": "integer"},
            (True, " type string -> integer"),
            (True, " type string -> integer"),
        ),
        (
            {"type": "string"},
            {"type": ["string", "null"]},
            (False, " type string -> null|string"),
            (True, " type string -> null|string"),
        ),
        (closed("x"), closed("x", "y"), (False, " .a enum value y added"), (False, " .a enum value y added")),
        (closed("x", "y"), closed("x"), (True, " .a enum value y removed"), (False, " .a enum value y removed")),
        (
            {"type": "string"},
            {"type": "string", "enum": ["x"]},
            (True, " enum closed"),
            (False, " enum closed"),
        ),
        (
            {"type": "string", "enum": ["x"]},
            {"type": "string"},
            (False, " enum opened"),
            (False, " enum opened"),
        ),
        (
            {"items": {"type": "string"}},
            {"items": {}},
            (False, " [] type string -> any"),
            (True, " [] type string -> any"),
        ),
    ],
)
def test_a_change_breaks_what_is_sent_or_what_is_answered(
    old: Any, new: Any, request_change: tuple[bool, str], answer_change: tuple[bool, str]
) -> None:
    assert told(edition(request=old), edition(request=new)) == [(request_change[0], REQUEST + request_change[1])]
    assert told(edition(answer=old), edition(answer=new)) == [(answer_change[0], ANSWER + answer_change[1])]


def test_references_wording_and_order_are_no_change() -> None:
    schema = {"type": "object", "properties": {"self": {"$ref": "#/components/schemas/S"}, "b": {"type": "string"}}}
    named = edition(request={"$ref": "#/components/schemas/S"}, components={"schemas": {"S": schema}})
    assert told(named, named | {"info": {"title": "Another"}}) == []
    inline = edition(request=copy.deepcopy(schema), components={"schemas": {"S": schema}})
    assert told(named, inline) == [(False, f"{REQUEST} .self .b added"), (False, f"{REQUEST} .self .self added")]


def test_operations_parameters_servers_and_security_are_compared() -> None:
    old = edition(servers=[{"url": "https://a"}])
    header = {"name": "H", "in": "header", "required": True, "schema": {"type": "string"}}
    new = edition(
        servers=[{"url": "https://b"}],
        operation={"parameters": [header], "responses": {"404": {"description": ""}}},
        components={"securitySchemes": {"basicAuth": {"type": "http", "scheme": "basic"}}},
    )
    new["paths"]["/y"] = {"get": {"responses": {}}}
    assert told(old, new) == [
        (True, "header parameter H added and required"),
        (True, "response 200 application/json removed"),
        (True, "response 200 removed"),
        (True, "security: [] -> ['basicAuth (http basic)']"),
        (True, "servers: ['https://a'] -> ['https://b']"),
        (False, "GET /y: operation added"),
        (False, "response 404 added"),
    ]
    assert (True, "GET /y: operation removed") in told(new, old)


def test_an_edition_compared_with_itself_has_not_changed() -> None:
    assert changes.between(DOCUMENT, DOCUMENT) == []


@given(st.binary())
def test_no_bytes_do_more_than_be_no_document(content: bytes) -> None:
    assert source.parse(content) is None


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_the_bytes_between_the_fences_stay_as_they_are(tmp_path: Path, end: bytes) -> None:
    document = end.join([b"openapi: 3.0.3", b"info:", b"  description: |", b"    ```json", b"    {}", b"    ```", b""])
    page = tmp_path / "page.md"
    page.write_bytes(
        end.join([b"# Title", b"```", b"other: code", b"```", b"````yaml x", b""]) + document + b"````" + end
    )
    assert source.read(str(page)).content == document


def test_a_move_that_fails_half_way_puts_everything_back(tmp_path: Path) -> None:
    folder, place = tmp_path / "new", tmp_path / "place"
    folder.mkdir()
    (folder / "one").mkdir()
    (folder / "one" / "file").write_text("new")
    (place / "one").mkdir(parents=True)
    (place / "one" / "file").write_text("old")
    moves = [(folder / "one", place / "one"), (folder / "missing", place / "two")]
    with pytest.raises(StepFailed, match="move: "):
        command._move(moves, folder)
    assert (place / "one" / "file").read_text() == "old"
    assert not (place / "two").exists()


def test_a_move_that_is_interrupted_puts_everything_back(tmp_path: Path) -> None:
    class Interrupted:
        def rename(self, _: Path) -> None:
            raise KeyboardInterrupt

    (tmp_path / "place").write_text("old")
    unmovable: Any = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        command._move([(unmovable, tmp_path / "place")], tmp_path)
    assert (tmp_path / "place").read_text() == "old"
