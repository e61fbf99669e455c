"""The steps of a regeneration one by one, tested with values."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from edits import EDITS, Row
from hypothesis import given, strategies as st
from regenerating import (
    PROJECT,
    edited,
    experience,
    full,
    listed,
    metadata,
    move_to_components,
    operation,
    rename,
    request,
    vendored,
)

from regeneration import (
    Project,
    StepFailed,
    changes,
    companion,
    contract,
    generate,
    moving,
    overlay,
    reading,
    references,
    source,
    step,
)
from regeneration.contract import Fact
from regeneration.facts import FACTS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """Overlay and companion are read once for all the documents here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate, "load_own", cache(reading.load_own))
        yield


def effective(document: Any) -> Any:
    return generate.effective(document, PROJECT).document


@pytest.fixture(scope="module")
def full_effective() -> Any:
    return effective(full())


# The verdicts.


@pytest.mark.parametrize("row", EDITS, ids=lambda row: row.name)
def test_an_edit_of_the_document_is_told_as_what_it_is(row: Row, full_effective: Any) -> None:
    """The fifty edits: which lines the report has, at which level, and which constants no longer fit."""
    new = effective(edited(full(), row.edit))
    lines = [f"{change.level}: {change}" for change in changes.between(full_effective, new)]
    misfits = contract.misfits(new, FACTS)
    # For whoever runs it with -s: the table, as it is told.
    verdict = [*(lines or ["no change"]), *(f"does not fit: {misfit}" for misfit in misfits)]
    sys.stdout.write("\n  ".join([f"{row.name}:", *verdict]) + "\n")
    assert sorted(lines) == sorted(row.lines)
    assert sorted(map(constant, misfits)) == sorted(row.misfits)


def constant(misfit: str) -> str:
    """The constant that a misfit names, without its module."""
    return re.sub(r"^\w+(\.|: )", "", misfit.partition(": expected ")[0])


def test_there_are_fifty_edits_and_each_has_a_name_of_its_own() -> None:
    assert len({row.name for row in EDITS}) == len(EDITS) >= 50


def test_the_wrapper_knows_by_heart_what_the_document_says(full_effective: Any) -> None:
    assert contract.misfits(effective(vendored()), FACTS) == []
    assert contract.misfits(full_effective, FACTS) == []


def other(value: Any) -> Any:
    """A value that is not the one of a row."""
    if isinstance(value, tuple):
        return (*value[1:], "Other")
    return value + 1 if isinstance(value, int) else f"{value}-other"


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact.constant} {fact.place[-40:]}")
def test_each_row_of_the_contract_can_fail(fact: Fact, full_effective: Any) -> None:
    """A row that nothing in the document could contradict would be no row; one of a list that is open needs a list."""
    document = copy.deepcopy(full_effective)
    document["servers"][0]["variables"]["dc"]["enum"] = ["01"]
    metadata(document)["parameters"][1]["schema"]["enum"] = ["Active"]
    platform = document["paths"]["/experiences/events"]["post"]["requestBody"]["content"]["application/json"]
    actions = platform["schema"]["properties"]["elements"]["items"]["properties"]["actions"]["items"]["properties"]
    actions["platform"]["enum"] = ["web"]
    (misfit,) = contract.misfits(document, [evolve(fact, value=other(fact.value))])
    assert misfit.startswith(f"{fact.constant}: expected ")
    assert f"{other(fact.value)!r} at {fact.place}, got " in misfit


def test_a_misfit_names_the_constant_the_place_and_both_values() -> None:
    new = effective(edited(full(), lambda document: request(document)["experience_key"].update(maxItems=10)))
    (misfit,) = contract.misfits(new, FACTS)
    assert misfit.partition(".")[2] == (
        "KEYS_PER_REQUEST: expected 25 at $.paths['/experiences/fetch'].post.requestBody"
        ".content['application/json'].schema.properties.experience_key.maxItems, got 10"
    )


def test_a_place_that_is_gone_is_nothing() -> None:
    new = effective(edited(full(), lambda document: request(document)["experience_key"].pop("maxItems")))
    (misfit,) = contract.misfits(new, FACTS)
    assert misfit.endswith("experience_key.maxItems, got nothing")


def test_what_several_operations_have_from_above_holds_for_each() -> None:
    header = {"name": "H", "in": "header", "schema": {"type": "string"}}
    item: Any = {"servers": [{"url": "/b"}], "parameters": [header], "get": {"responses": {}}}
    document = {"paths": {"/x": item}, "servers": [{"url": "/a"}], "components": {"parameters": {"H": header}}}
    item["post"] = {"servers": [{"url": "/c"}], "parameters": [{"$ref": "#/components/parameters/H"}]}
    met = contract.as_met(document)["paths"]["/x"]
    assert (met["get"]["servers"], met["post"]["servers"]) == ([{"url": "/b"}], [{"url": "/c"}])
    assert met["get"]["parameters"] == met["post"]["parameters"] == [header]
    assert met["get"]["security"] == []


# The overlay.


def apply(document: Any, *actions: dict[str, Any]) -> Any:
    return overlay.apply(document, {"overlay": "1.1.0", "actions": list(actions)}).document


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
        ({"target": "$.z", "x-optional": True, "remove": True}, {"a": {"b": 1}, "l": [1, 2, 3], "t": "x"}),
        ({"target": "$.t", "x-keep-as": "u", "remove": True}, {"a": {"b": 1}, "l": [1, 2, 3], "u": "x"}),
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
        ({"target": "$.missing", "update": {}}, "got none: no ['missing'] in $, only a, long"),
        ({"target": "$.a.c.d", "update": {}}, "got none: no ['c'] in $['a'], only b"),
        ({"target": "$.a..[?@.x].y", "update": {}}, "got none: no ..[?@['x']] in $['a'], only b"),
        ({"target": "$.x | $.c", "update": {}}, "expected at least one match, got none\n"),
        ({"target": "$.missing", "remove": True}, "expected at least one match, got none"),
        ({"target": "$.a", "x-expect": {"b": 2}, "update": {}}, "expected to replace {'b': 2}, got {'b': 1}"),
        ({"target": "$.a", "x-expect": {"c": 1}, "update": {}}, "expected to replace {'c': 1}"),
        ({"target": "$.long", "x-expect": "s", "update": 1}, "got 'sssss"),
        ({"target": "$.a"}, "expected either update or remove"),
        ({"target": "$.a", "update": {}, "remove": True}, "expected either update or remove"),
        ({"target": "$.a", "update": {}, "x-optional": True}, "expected x-optional and x-keep-as with remove only"),
        ({"target": "$", "remove": True}, "expected something inside the document to remove"),
        ({"target": "$.[", "update": {}}, "expected a JSONPath of RFC 9535, got one that is not"),
    ],
)
def test_an_action_that_does_not_fit_is_named_and_so_is_every_other(action: dict[str, Any], reason: str) -> None:
    document = {"a": {"b": 1}, "long": "s" * 500}
    with pytest.raises(StepFailed) as caught:
        apply(document, action | {"description": "First."}, {"target": "$.no", "update": 1})
    text = str(caught.value)
    assert "overlay: 2 action(s) no longer fit the document" in text
    assert "    - First.\n" in text
    assert "    - (an action without a description)\n      target: $.no" in text
    assert reason in text
    assert len(text) < 700


def test_actions_that_miss_the_same_are_told_under_one_cause() -> None:
    def edit(document: Any) -> None:
        rename(operation(document)["responses"]["200"]["content"], "application/json", "application/vnd.x+json")

    with pytest.raises(StepFailed) as caught:
        effective(edited(vendored(), edit))
    lines = str(caught.value).splitlines()
    assert lines[0] == "overlay: 7 action(s) no longer fit the document"
    assert lines[1] == (
        "  expected at least one match, got none: no ['application/json'] in "
        "$['paths']['/experiences/fetch']['post']['responses']['200']['content'], only application/vnd.x+json"
    )
    assert [line for line in lines[1:] if not line.startswith(("    - ", "      target: "))] == [lines[1]]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"overlay": "1.0.0", "actions": []}, r"expected an OpenAPI Overlay 1\.1 document, got version '1\.0\.0'"),
        ({"overlay": "1.1.0"}, "expected actions to be a list of objects with a target each"),
        ({"overlay": "1.1.0", "actions": [{"update": {}}]}, "expected actions to be a list of objects with a target"),
        ({"overlay": "1.1.0", "actions": [None]}, "expected actions to be a list of objects with a target each"),
    ],
)
def test_another_kind_of_overlay_is_refused(broken: Any, reason: str) -> None:
    with pytest.raises(StepFailed, match=reason):
        overlay.apply({}, broken)


def test_a_target_goes_through_references_and_reaches_each_schema_once() -> None:
    shared = {"type": "object", "properties": {"x": {"enum": [1]}, "self": {"$ref": "#/components/schemas/S"}}}
    document = {"a": {"$ref": "#/components/schemas/S"}, "b": [{"$ref": "#/components/schemas/S"}]}
    document["components"] = {"schemas": {"S": shared}}  # type: ignore[assignment]
    applied = overlay.apply(
        document,
        {
            "overlay": "1.1.0",
            "actions": [
                {"target": "$.a", "x-expect": {"type": "object"}, "update": {"title": "S"}},
                {"target": "$..[?@.enum[0]].enum", "remove": True},
                {"target": "$.b[0].properties.x", "update": {"type": "integer"}, "x-class-overrides": {"A": {}}},
            ],
        },
    )
    changed = {"x": {"type": "integer"}, "self": {"$ref": "#/components/schemas/S"}}
    assert applied.document == document | {
        "components": {"schemas": {"S": {"type": "object", "title": "S", "properties": changed}}}
    }
    assert applied.class_overrides == {"A": {}}
    assert overlay.moved(applied, document) == []
    followed = "is now a $ref to #/components/schemas/S"
    assert overlay.moved(applied, {}) == [
        f"a {followed}: 2 action(s) of the overlay follow it",
        f"b 0 {followed}: 1 action(s) of the overlay follow it",
    ]


def test_a_property_that_is_called_enum_stays() -> None:
    def add(document: Any) -> None:
        experience(document)["enum"] = {"type": "string", "enum": ["a"]}

    new = effective(edited(vendored(), add))
    assert experience(new)["enum"] == {"type": "string", "x-extensible-enum": ["a"]}


def test_every_enum_of_an_answer_is_open_and_so_is_the_type_of_an_event(full_effective: Any) -> None:
    for path, item in full_effective["paths"].items():
        for one in item.values():
            if isinstance(one, dict):
                assert '"enum"' not in json.dumps(one["responses"]), path
    assert listed(full_effective)["status"]["x-extensible-enum"] == ["Active", "Paused", "Scheduled"]


def test_an_edition_that_moves_its_schemas_needs_no_edit_and_says_so_once_a_cause() -> None:
    before = generate.effective(vendored(), PROJECT)
    after = generate.effective(edited(vendored(), move_to_components), PROJECT)
    assert changes.between(before.document, after.document) == []
    assert overlay.moved(after.applied, after.document) == []
    notes = overlay.moved(after.applied, before.document)
    assert len(notes) == 3
    assert "requestBody content application/json schema is now a $ref to #/components/schemas/Request" in notes[0]
    assert contract.misfits(after.document, FACTS) == []
    assert after.configuration == before.configuration


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


# The companion.


def test_the_companion_gives_way_but_for_names_and_what_a_request_needs() -> None:
    ours = {
        "paths": {
            "/x": {
                "post": {
                    "operationId": "x",
                    "requestBody": {
                        "content": {"json": {"schema": {"title": "X", "required": ["a", "z"], "properties": {"a": {}}}}}
                    },
                }
            },
            "/y": {"get": {}},
        },
        "components": {"schemas": {"S": {"type": "object"}}},
    }
    theirs = {"content": {"other": {"schema": {"$ref": "#/components/schemas/X"}}}}
    schema = {"required": ["b"], "properties": {"a": {"title": "A"}, "b": {}}}
    document = {"paths": {"/x": {"post": {"requestBody": theirs}}}, "components": {"schemas": {"X": schema}}}
    merged = companion.merge(document, ours)
    assert merged["paths"] == {
        "/x": {"post": {"operationId": "x", "requestBody": theirs}},
        "/y": {"x-described-by": "spec/companion.yaml", "get": {}},
    }
    assert merged["components"]["schemas"]["X"] == schema | {"title": "X", "required": ["b", "a"]} | {
        "properties": schema["properties"]
    }
    assert merged["components"]["schemas"]["S"] == {"type": "object"}


def test_the_report_says_when_the_companion_gives_way_and_when_it_steps_in(full_effective: Any) -> None:
    alone = effective(vendored())
    assert "info: GET /experiences/metadata is described by the document now" in _lines(alone, full_effective)
    back = _lines(full_effective, alone)
    assert "warning: POST /experiences/events is no longer in the document; spec/companion.yaml describes it" in back


def _lines(old: Any, new: Any) -> str:
    return "\n".join(f"{change.level}: {change}".replace(": is ", " is ") for change in changes.between(old, new))


@pytest.mark.parametrize("broken", [{}, {"paths": None}, {"paths": {}, "components": {"schemas": None}}])
def test_a_broken_companion_is_refused(broken: Any) -> None:
    with pytest.raises(StepFailed, match=r"companion: spec/companion\.yaml: expected paths and components"):
        companion.merge({"paths": {}}, broken)


# References.


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"a": {"$ref": "http://host/x"}}, "expected each $ref to begin with '#/', got\n  #/a: 'http://host/x'"),
        ({"a": [{"$ref": "other.yaml#/b"}]}, "#/a/0: 'other.yaml#/b'"),
        ({"a": {"$ref": "#"}}, "#/a: '#'"),
        ({"a": {"$ref": "#/b"}}, "expected each $ref to lead to something, got\n  #/a: '#/b'"),
        ({"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}}, "#/a: '#/b'"),
        ({"a": {"$ref": "#/b/3"}, "b": [1]}, "#/a: '#/b/3'"),
        ({"a": {"$ref": "#/b/c"}, "b": 1}, "#/a: '#/b/c'"),
        ({"a": [{"$ref": "#/b"}] * 12}, "and 2 more"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_before_anything_follows_it(document: Any, reason: str) -> None:
    with pytest.raises(StepFailed) as caught:
        references.check(document, "read")
    assert reason in str(caught.value)


def test_a_property_that_is_called_ref_is_none() -> None:
    references.check({"properties": {"$ref": {"type": "string"}}}, "read")


def test_a_small_document_that_is_large_once_references_are_followed_is_refused() -> None:
    levels = {f"L{n}": {"p": [{"$ref": f"#/components/L{n + 1}"}] * 10} for n in range(8)}
    with pytest.raises(StepFailed, match=r"expected at most 500,000 places once every \$ref is followed"):
        references.linked({"components": {**levels, "L8": {}}}, "overlay")


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.recursive(
            st.sampled_from([{"$ref": f"#/{name}"} for name in "abc"]) | st.integers(),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
            max_leaves=6,
        ),
    )
)
def test_linking_and_unlinking_gives_the_same_document(document: Any) -> None:
    try:
        references.check(document, "read")
    except StepFailed:
        return
    graph = references.linked(copy.deepcopy(document), "overlay")
    json.dumps(graph.document)  # without a circle
    assert graph.unlinked() == document


# Comparing.


def edition(request: Any = None, answer: Any = None, **more: Any) -> Any:
    def media(schema: Any) -> Any:
        return {"application/json": {"schema": schema or {}}}

    body = {"requestBody": {"content": media(request)}, "responses": {"200": {"content": media(answer)}}}
    return {"openapi": "3.0.3", "paths": {"/x": {"post": body | more.pop("operation", {})}}, **more}


def told(old: Any, new: Any) -> list[tuple[str, str]]:
    return [(change.level, str(change).removeprefix("POST /x: ")) for change in changes.between(old, new)]


def closed(*values: str) -> Any:
    return {"type": "object", "properties": {"a": {"type": "string", "enum": list(values)}}}


@pytest.mark.parametrize(
    ("old", "new", "sent", "answered"),
    [
        ({}, {"properties": {"a": {}}}, "breaking type any -> object", "info type any -> object"),
        (
            {"type": "object"},
            {"properties": {"a": {"type": "string"}}, "required": ["a"]},
            "breaking .a added and required",
            "info .a added",
        ),
        ({"properties": {"a": {}, "b": {}}}, {"properties": {"b": {}}}, "breaking .a removed", "breaking .a removed"),
        (
            {"properties": {"a": {}}},
            {"properties": {"a": {}}, "required": ["a"]},
            "breaking .a is now required",
            "info .a is now required",
        ),
        (
            {"properties": {"a": {}}, "required": ["a"]},
            {"properties": {"a": {}}},
            "info .a is no longer required",
            "breaking .a is no longer required",
        ),
        (
            {"type": "string"},
            {"oneOf": [{"type": "string"}, {"type": "object"}]},
            "info type string -> object|string",
            "breaking type string -> object|string",
        ),
        ({"type": "string"}, {}, "info type string -> any", "breaking type string -> any"),
        ({}, {"type": "string"}, "breaking type any -> string", "info type any -> string"),
        ({"type": "string"}, {"type": "integer"}, "breaking type string -> integer", "breaking type string -> integer"),
        ({"type": "integer"}, {"type": "number"}, "info type integer -> number", "breaking type integer -> number"),
        (
            {"type": "string"},
            {"type": ["string", "null"]},
            "info type string -> null|string",
            "breaking type string -> null|string",
        ),
        (closed("x"), closed("x", "y"), "info .a value 'y' added", "warning .a a new value may arrive: 'y'"),
        (closed("x", "y"), closed("x"), "breaking .a value 'y' removed", "info .a value 'y' removed"),
        (
            {"type": "string"},
            {"type": "string", "enum": ["x"]},
            "breaking values any -> ['x']",
            "info values any -> ['x']",
        ),
        (
            {"type": "string", "const": "x"},
            {"type": "string"},
            "info values ['x'] -> any",
            "warning values ['x'] -> any",
        ),
        (
            {"type": "string", "x-extensible-enum": ["x", "y"]},
            {"type": "string", "x-extensible-enum": ["x"]},
            "warning value 'y' removed",
            "info value 'y' removed",
        ),
        (
            {"items": {"type": "string"}},
            {"items": {}},
            "info [] type string -> any",
            "breaking [] type string -> any",
        ),
        (
            {"type": "object", "additionalProperties": False},
            {"type": "object"},
            "info admits further fields now",
            "warning admits further fields now",
        ),
        (
            {"type": "string", "pattern": "a"},
            {"type": "string"},
            "info pattern 'a' -> none",
            "info pattern 'a' -> none",
        ),
        (
            {"type": "string", "format": "uuid"},
            {"type": "string"},
            "info format 'uuid' -> none",
            "breaking format 'uuid' -> none",
        ),
        (
            {"type": "string", "format": "uuid"},
            {"type": "string", "format": "date"},
            "breaking format 'uuid' -> 'date'",
            "breaking format 'uuid' -> 'date'",
        ),
        (
            {"type": "array", "uniqueItems": True},
            {"type": "array"},
            "info uniqueItems True -> none",
            "warning uniqueItems True -> none",
        ),
        (
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            {"type": "integer", "minimum": 1},
            "info exclusiveMinimum True -> none",
            "breaking exclusiveMinimum True -> none",
        ),
        (
            {"type": "string", "deprecated": True},
            {"type": "string"},
            "info is no longer deprecated",
            "info is no longer deprecated",
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "integer", "maximum": 9}]},
            {"oneOf": [{"type": "string"}, {"type": "integer", "maximum": 5}]},
            "breaking (variant 2) maximum 9 -> 5",
            "info (variant 2) maximum 9 -> 5",
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "string", "format": "x"}]},
            "warning 2 variants -> 3",
            "warning 2 variants -> 3",
        ),
        (
            {"title": "A", "properties": {"a": {}}},
            {"title": "B", "properties": {"a": {}}},
            "warning title A -> B, after which the class is named",
            "warning title A -> B, after which the class is named",
        ),
    ],
)
def test_a_change_breaks_what_is_sent_or_what_is_answered(old: Any, new: Any, sent: str, answered: str) -> None:
    level, _, text = sent.partition(" ")
    assert told(edition(request=old), edition(request=new)) == [(level, f"request {text}")]
    level, _, text = answered.partition(" ")
    assert told(edition(answer=old), edition(answer=new)) == [(level, f"response 200 {text}")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "object"}, {"type": "object", "additionalProperties": True}),
        ({"type": "object", "additionalProperties": {}}, {"type": "object"}),
        ({"properties": {"a": {"type": "string"}}}, {"allOf": [{"properties": {"a": {"type": "string"}}}]}),
        ({"type": "string"}, {"anyOf": [{"type": "string"}]}),
        ({"type": "string", "nullable": True}, {"type": ["null", "string"]}),
        ({"enum": ["a"]}, {"const": "a"}),
        ({"type": "array", "uniqueItems": False}, {"type": "array"}),
        (True, {}),
    ],
)
def test_the_same_said_in_another_way_is_no_change(old: Any, new: Any) -> None:
    assert told(edition(request=old), edition(request=new)) == []


def test_what_names_generated_functions_and_modules_is_told() -> None:
    old = edition(operation={"operationId": "a", "tags": ["A"]})
    assert told(old, edition(operation={"operationId": "b"})) == [
        ("breaking", "operationId a -> b, after which the function is named"),
        ("breaking", "tag A -> default, after which the import path is named"),
    ]


def test_references_wording_and_order_are_no_change() -> None:
    schema = {"type": "object", "properties": {"self": {"$ref": "#/components/schemas/S"}, "b": {"type": "string"}}}
    named = edition(request={"$ref": "#/components/schemas/S"}, components={"schemas": {"S": schema}})
    assert told(named, named | {"info": {"title": "Another"}}) == []
    inline = edition(request=copy.deepcopy(schema), components={"schemas": {"S": schema}})
    assert told(named, inline) == []


def test_bodies_parameters_and_operations_that_come_and_go_are_told() -> None:
    old = edition()
    header = {"name": "H", "in": "header", "required": True, "schema": {"type": "string"}}
    new = edition(operation={"parameters": [header], "responses": {"404": {"description": ""}}})
    del new["paths"]["/x"]["post"]["requestBody"]
    new["paths"]["/y"] = {"get": {"responses": {}}}
    assert told(old, new) == [
        ("breaking", "header parameter H added and required"),
        ("breaking", "request body removed"),
        ("breaking", "response 200 removed"),
        ("info", "GET /y: operation added"),
        ("info", "response 404 added"),
    ]
    assert ("breaking", "GET /y: operation removed") in told(new, old)
    assert ("info", "request body added") in told(new, old)


def test_headers_of_answers_and_schemas_that_come_and_go_are_told() -> None:
    def with_header(header: Any, **media: Any) -> Any:
        answer = {"headers": header, "content": {"application/json": media}}
        return edition(operation={"responses": {"200": answer}})

    old = with_header({"X-A": {"schema": {"type": "integer"}}, "X-B": {"schema": {}}}, schema={})
    new = with_header({"x-a": {"schema": {"type": "string"}, "deprecated": True}})
    assert told(old, new) == [
        ("breaking", "response 200 header x-a type integer -> string"),
        ("warning", "response 200 header X-B removed"),
        ("warning", "response 200 header x-a is now deprecated"),
        ("warning", "response 200 schema changed"),
    ]


def test_an_edition_compared_with_itself_has_not_changed(full_effective: Any) -> None:
    assert changes.between(full_effective, copy.deepcopy(full_effective)) == []


# Reading.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("at: 2026-01-01\nthen: 2026-01-01T10:00:00Z", {"at": "2026-01-01", "then": "2026-01-01T10:00:00Z"}),
        ("200: {a: 200, yes: no, 1.0: on}", {"200": {"a": 200, "yes": "no", "1.0": "on"}}),
        (
            "'08': 08\nhex: 0x1F\noct: 0o17\nf: 1e3\nn: ~\ne:\nt: TRUE",
            _core := {
                "08": 8,
                "hex": 31,
                "oct": 15,
                "f": 1000.0,
                "n": None,
                "e": None,
                "t": True,
            },
        ),
        ("a: |\n        \n    text\n    more\nb: 1", {"a": "\ntext\nmore\n", "b": 1}),
        ("a: &x {b: [1]}\nc: *x\nd: {<<: *x, e: 2}", {"a": {"b": [1]}, "c": {"b": [1]}, "d": {"b": [1], "e": 2}}),
        ("a: {<<: [{b: 1}, {b: 2, c: 3}], c: 4}", {"a": {"b": 1, "c": 4}}),
        ("a: '2026'\nb: !!str 200", {"a": "2026", "b": "200"}),
        ('{\n\t"a": 1\n}', {"a": 1}),
        ("", None),
    ],
)
def test_yaml_is_read_by_the_core_schema_of_1_2(text: str, value: Any) -> None:
    assert reading.parse(text) == value


LAUGHS = "a0: &a0 [lollollol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: found duplicate key 'a'"),
        ("200: 1\n'200': 2", "line 2, column 1: found duplicate key '200'"),
        ('{"a": 1, "a": 2}', "found duplicate key 'a'"),
        ("a:\n\t- b", r"line 2, column 1: while scanning for the next token, found character '\t'"),
        ("a: 1\n---\nb: 2", "line 2, column 1: expected a single document in the stream"),
        ("a: [", "line 1, column 5: while parsing a flow node"),
        ('{"a": [1,}', "line 1, column 10: Expecting value"),
        ("&a [*a]", "line 1, column 1: expected values, got an anchor that contains itself"),
        (LAUGHS, "expected at most 5,000,000 characters once every alias is written out, got more"),
        ("[" * 3000, "expected at most 100 levels inside one another"),
        ("- " * 3000, "expected at most 100 levels inside one another"),
        ("- " * 101 + "x", "expected at most 100 levels inside one another"),
        ('{"a":' * 101 + "1" + "}" * 101, "expected at most 100 levels inside one another"),
        ("? [a]\n: b", "expected a key as text, got a collection"),
        ("a: !!binary x", "expected a value that JSON has, too, got the tag tag:yaml.org,2002:binary"),
        ("a: !own x", "got the tag !own"),
        ("a: .nan", "expected a number that JSON has, got .nan"),
        ('{"a": Infinity}', "expected a number that JSON has, got Infinity"),
        ("a: 1e999", "expected a number that a float can hold"),
        ('{"a": 1e999}', "expected a number that a float can hold"),
        (f"a: {'9' * 5000}", "line 1, column 4: Exceeds the limit"),
        (f'{{"a": {"9" * 5000}}}', "Exceeds the limit"),
        ("a: {<<: 1}", "expected a mapping or mappings to merge"),
        ("a: \x00", "special characters are not allowed"),
    ],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_read_is_refused_with_its_reason_and_line(text: str, reason: str) -> None:
    with pytest.raises(reading.Unreadable) as caught:
        reading.parse(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@given(value=st.dictionaries(st.text("ab", max_size=2), JSON))
def test_what_json_writes_is_read_as_it_was(value: Any) -> None:
    assert reading.parse(json.dumps(value)) == value


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with suppress(reading.Unreadable):
        json.dumps(reading.parse(text), allow_nan=False)


# Sources.

DOCUMENT = b"openapi: 3.0.3\ninfo: {}\npaths:\n  /x:\n    description: |\n      ```json\n      {}\n      ```\n"


def page(text: bytes, before: bytes = b"", fence: bytes = b"````") -> bytes:
    block = b"".join(before + line for line in [fence + b"yaml x\n", *text.splitlines(keepends=True), fence + b"\n"])
    return b"---\nopenapi: post /x\n---\n# Title\n```\nother: code\n```\n" + block + b"\nMore.\n"


@pytest.mark.parametrize(
    "content",
    [
        page(DOCUMENT),
        page(DOCUMENT, fence=b"~~~"),
        page(DOCUMENT, fence=b"```"),
        page(DOCUMENT, before=b"    "),
        page(DOCUMENT).replace(b"````yaml", b"1. ````yaml").replace(b"\nopenapi: 3", b"\nopenapi: 3"),
        page(DOCUMENT) + b"```\nnever closed\n",
        DOCUMENT,
    ],
    ids=["fenced", "tildes", "three", "indented", "in a list", "another fence unclosed", "the document itself"],
)
def test_the_document_is_found_in_a_page(content: bytes) -> None:
    assert source.find(content)[0] == DOCUMENT


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_the_bytes_between_the_fences_stay_as_they_are(end: bytes) -> None:
    document = DOCUMENT.replace(b"\n", end)
    assert source.find(page(DOCUMENT).replace(b"\n", end))[0] == document


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "got 0 bytes with 0 fenced"),
        (b"# A page\n\nwithout a document\n", "got text without one"),
        (b"- 1", "got a list"),
        (b"\xff\xfeo\x00", "expected UTF-8, got UTF-16"),
        (b"openapi: 3.0.3\n\xff", "line 2: expected UTF-8, got the byte 0xff"),
        (b"swagger: '2.0'\npaths: {}", "Swagger 2.0 is not supported, expected OpenAPI 3.0 or 3.1"),
        (b"openapi: 3.2.0\npaths: {}", "expected openapi to be a version of 3.0 or 3.1 as text"),
        (b"openapi: 3.1\npaths: {}", "such as '3.0.3', got 3.1"),
        (b"openapi: 3.0.3\ncomponents: null\npaths: {}", "expected components to be an object, got None"),
        (b"openapi: 3.0.3\npaths: {/x: null}", "expected paths '/x' to be an object, got None"),
        (b"openapi: 3.0.3", "expected paths to be an object, got None"),
        (b"openapi: 3.0.3\npaths: {}\nservers: {}", "expected servers to be a list, got {}"),
        (b"openapi: 3.0.3\npaths: {}\npaths: {}", "line 3, column 1: found duplicate key 'paths'"),
        (b"just: yaml", "expected openapi to be a version of 3.0 or 3.1 as text, such as '3.0.3', got None"),
        (b"a: [", "line 1, column 5"),
        (page(DOCUMENT) + page(DOCUMENT), "got 2 (lines 8, 27)"),
        (page(DOCUMENT).replace(b"````\n\nMore.\n", b""), "expected the fence in line 8 to be closed"),
        (b"# T\n```yaml\nother: 1\n", "with 1 fenced; the fence in line 2 is not closed"),
        (page(DOCUMENT.replace(b"info", b"openapi")), "in the block that is fenced in line 8: line 2, column 1: found"),
        (b"<!DOCTYPE html><html>openapi</html>", "got HTML; many pages have a Markdown edition"),
    ],
)
def test_a_source_that_is_none_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(reading.Unreadable) as caught:
        source.find(content)
    assert reason in str(caught.value)


@given(st.binary())
def test_no_bytes_do_more_than_be_refused(content: bytes) -> None:
    with pytest.raises((reading.Unreadable, StepFailed)):
        source.find(content)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("", "expected a file or an http(s) address, got an empty text"),
        ("missing.md", "got 'missing.md' (No such file or directory)"),
        ("file:///missing.md", "got '/missing.md' (No such file or directory)"),
        ("ftp://host/x", "got one with ftp:// (ftp://host/x)"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://user:word@127.0.0.1:1/x?key=word", "expected an answer from http://127.0.0.1:1/x, got none"),
        ("http://\x00", "expected an answer from"),
        ("a\x00b", "embedded null"),
        ("\udcff.yaml", "got '\N{REPLACEMENT CHARACTER}.yaml'"),
    ],
)
def test_a_source_that_cannot_be_reached_is_refused_without_a_word_of_its_secrets(location: str, reason: str) -> None:
    with pytest.raises(StepFailed) as caught:
        source.read(location)
    assert str(caught.value).startswith("read: ")
    assert reason in str(caught.value)
    assert "word" not in str(caught.value)


def test_a_file_address_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a b.yaml").write_bytes(DOCUMENT)
    found = source.read(f"FILE://{tmp_path}/a%20b.yaml")
    assert (found.name, found.content) == ("a b.yaml", DOCUMENT)


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(StepFailed, match="expected at most 5,000,000 bytes, got more from zero"):
        source.read("/dev/zero")


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@pytest.fixture
def website() -> Iterator[Callable[[list[bytes], float], str]]:
    """A server that answers each request with these pieces, with a pause before each; gives its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[asyncio.Server] = []

    def serve(pieces: list[bytes], pause: float = 0) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.readuntil(b"\r\n\r\n")
                for piece in pieces:
                    await asyncio.sleep(pause)
                    writer.write(piece)
                    await writer.drain()
            except OSError:
                pass  # the client has gone
            finally:
                writer.close()

        async def start() -> int:
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            servers.append(server)
            return int(server.sockets[0].getsockname()[1])

        return f"http://127.0.0.1:{asyncio.run_coroutine_threadsafe(start(), loop).result()}"

    async def stop() -> None:
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    yield serve
    asyncio.run_coroutine_threadsafe(stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_an_address_is_recorded_without_user_password_and_query(website: Any) -> None:
    address = website([http(page(DOCUMENT))])
    found = source.read(address.replace("http://", "HTTP://user:word@") + "/page.md?key=word#part")
    assert (found.name, found.content) == (f"{address}/page.md", DOCUMENT)


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([http(b"no", "404 Not Found")], "expected status 200 from"),
        ([b"nonsense\r\n\r\n"], "got none (RemoteProtocolError)"),
        ([b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 1_000_000] * 6], "expected at most 5,000,000 bytes, got more"),
        (
            [b"HTTP/1.1 302 Found\r\nLocation: ftp://host/x\r\nContent-Length: 0\r\n\r\n"],
            "got none (UnsupportedProtocol)",
        ),
    ],
    ids=["not there", "not HTTP", "too large", "elsewhere"],
)
def test_an_answer_that_is_no_page_is_refused(website: Any, pieces: list[bytes], reason: str) -> None:
    with pytest.raises(StepFailed) as caught:
        source.read(website(pieces))
    assert reason in str(caught.value)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["in the head", "in the body"])
def test_all_of_a_download_has_one_limit_of_time(website: Any, monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    monkeypatch.setattr(source, "SECONDS", 0.3)
    drip = [head, *(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100)]
    started = time.monotonic()
    with pytest.raises(StepFailed, match=r"expected all of http://127\.0\.0\.1:\d+ within 0\.3 s, got a part of it"):
        source.read(website(drip, 0.05))
    assert time.monotonic() - started < 3


# Moving.


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "tree")
    project.generated.mkdir(parents=True)
    (project.root / "spec").mkdir()
    return project


def test_a_move_that_fails_half_way_puts_everything_back(tmp_path: Path) -> None:
    folder, place = tmp_path / "new", tmp_path / "place"
    (folder / "one").mkdir(parents=True)
    (folder / "one" / "file").write_text("new")
    (place / "one").mkdir(parents=True)
    (place / "one" / "file").write_text("old")
    moves = [(folder / "one", place / "one"), (folder / "missing", place / "two")]
    with pytest.raises(StepFailed, match="move: "):
        moving.move(moves, folder)
    assert (place / "one" / "file").read_text() == "old"
    assert not (place / "two").exists()


def test_a_move_that_is_interrupted_puts_everything_back(tmp_path: Path) -> None:
    class Interrupted:
        def rename(self, _: Path) -> None:
            raise KeyboardInterrupt

    (tmp_path / "place").write_text("old")
    unmovable: Any = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        moving.move([(unmovable, tmp_path / "place")], tmp_path)
    assert (tmp_path / "place").read_text() == "old"


@pytest.mark.parametrize("folder", ["aside", "replaced"])
def test_what_a_killed_run_has_left_is_swept_and_put_back_unless_it_was_done(project: Project, folder: str) -> None:
    dead = project.root / ".regenerate-999999999-x"
    (dead / folder / project.generated.name).mkdir(parents=True)
    (dead / folder / project.generated.name / "old.py").write_text("old")
    (dead / folder / "unknown").write_text("")
    (project.generated / "new.py").write_text("new")
    living = project.root / f".regenerate-{os.getppid()}-x"
    living.mkdir()
    moving.sweep(project)
    assert not dead.exists()
    assert living.exists()
    assert [path.name for path in project.generated.iterdir()] == ["old.py" if folder == "aside" else "new.py"]


def test_the_digest_of_a_package_is_of_names_and_contents_and_not_of_what_was_compiled(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("bc")
    first = moving.digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert moving.digest(tmp_path) == first
    (tmp_path / "a.py").write_text("b")
    (tmp_path / "c").write_text("")
    assert moving.digest(tmp_path) != first


# Failing.


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("x"), "compare: KeyError: 'x'"),
        (OSError(28, "No space left on device"), "compare: [Errno 28] No space left on device"),
        (RecursionError(), "compare: expected fewer levels inside one another"),
        (StepFailed("read", "why"), "read: why"),
    ],
)
def test_whatever_fails_in_a_step_is_a_failure_of_that_step(error: Exception, reason: str) -> None:
    with pytest.raises(StepFailed) as caught, step("compare"):
        raise error
    assert str(caught.value).startswith(reason)


def test_the_validator_cannot_fetch_what_a_document_names() -> None:
    def edit(document: Any) -> None:
        operation(document)["responses"]["404"] = {"$ref": "http://127.0.0.1:1/"}

    with pytest.raises(StepFailed, match="validate: Unresolvable: http://") as caught, step("validate"):
        generate._validate(edited(vendored(), edit))
    reasons: list[BaseException | None] = [caught.value]
    while reasons[-1] is not None:
        reasons.append(reasons[-1].__cause__)
    assert "expected a document that refers to nothing outside" in str(reasons[-2])
