"""Fifty and more small edits of the document, each with its verdict: what a caller is told, and what no longer fits.

A verdict is the lines of the report, and the constants of the wrapper's contract (without their module) that the edit
contradicts. What else
can misfit is a type, which only the generated client shows; tests/test_regenerate.py has some of those.
"""

from __future__ import annotations

from typing import Any

from attrs import Factory, frozen
from regenerating import (
    Edit,
    body,
    context,
    elements,
    event,
    events,
    experience,
    listed,
    metadata,
    operation,
    refusal,
    rename,
    request,
    variable,
)

FETCH, LIST, REPORT = "POST /experiences/fetch", "GET /experiences/metadata", "POST /experiences/events"
VALUE = f"{FETCH}: response 200 .experiences .* .payload .* "
ACTION = f"{REPORT}: request .elements [] .actions [] .action"
V1 = "https://sdk-{dc}.moengage.com/v1"
CONTEXT = f"{FETCH}: response 200 .experiences .* .experience_context "


@frozen
class Row:
    """One edit and its verdict."""

    name: str
    edit: Edit
    lines: list[str] = Factory(list[str])
    misfits: list[str] = Factory(list[str])


def _all(document: Any) -> list[Any]:
    return [operation(document), metadata(document), events(document)]


def _bearer(document: Any) -> None:
    document["components"]["securitySchemes"]["basicAuth"]["scheme"] = "bearer"


def _basic_or_key(document: Any) -> None:
    document["components"]["securitySchemes"]["key"] = {"type": "apiKey", "in": "header", "name": "X-Key"}
    document["security"].append({"key": []})


def _key_only_for_fetch(document: Any) -> None:
    document["components"]["securitySchemes"]["key"] = {"type": "apiKey", "in": "header", "name": "X-Key"}
    operation(document)["security"] = [{"key": []}]


def _header(name: str) -> Edit:
    def edit(document: Any) -> None:
        for one in _all(document):
            one["parameters"][0]["name"] = name

    return edit


def _media(document: Any) -> None:
    rename(metadata(document)["responses"]["200"]["content"], "application/json", "application/vnd.x+json")


def _everything_else(document: Any) -> None:
    document["info"]["description"] = "Another text."
    operation(document)["summary"] = "Another."
    context(document)["cid"]["description"] = "Another."
    context(document)["cid"]["example"] = "another"
    document["x-internal"] = True
    document["tags"].append({"name": "Others"})
    rename(document["components"]["securitySchemes"], "basicAuth", "basic")
    document["security"] = [{"basic": []}]
    document["components"]["securitySchemes"]["unused"] = {"type": "http", "scheme": "bearer"}


def _component(document: Any) -> None:
    document["components"]["schemas"]["Cid"] = context(document)["cid"]
    context(document)["cid"] = {"$ref": "#/components/schemas/Cid"}


def _server(url: str) -> Edit:
    return lambda document: document["servers"][0].update(url=url)


def _centers(document: Any) -> None:
    document["servers"][0]["variables"]["dc"]["enum"] = ["01", "02", "03", "04", "05", "06", "101", "07"]


def _all_centers(document: Any) -> None:
    document["servers"][0]["variables"]["dc"]["enum"] = ["101", "01", "02", "03", "04", "05", "06"]


EDITS = [
    # What is no change.
    Row("only words, an unused scheme, another name of the scheme", _everything_else),
    Row("a schema moved under components", _component),
    Row("additionalProperties: true removed", lambda d: body(operation(d)).pop("additionalProperties")),
    Row("oneOf of one", lambda d: context(d).update(cid={"oneOf": [context(d)["cid"]]})),
    Row("the header's name in another case", _header("moe-appkey")),
    Row("an enum in another order", lambda d: request(d)["DAY_OF_THE_WEEK"]["enum"].reverse()),
    # Limits of what is sent.
    Row(
        "fewer keys a request",
        lambda d: request(d)["experience_key"].update(maxItems=10),
        [f"breaking: {FETCH}: request .experience_key maxItems 25 -> 10"],
        ["KEYS_PER_REQUEST"],
    ),
    Row(
        "more keys a request",
        lambda d: request(d)["experience_key"].update(maxItems=50),
        [f"info: {FETCH}: request .experience_key maxItems 25 -> 50"],
        ["KEYS_PER_REQUEST"],
    ),
    Row(
        "at least one key",
        lambda d: request(d)["experience_key"].update(minItems=1),
        [f"breaking: {FETCH}: request .experience_key minItems none -> 1"],
    ),
    Row(
        "each key once",
        lambda d: request(d)["experience_key"].update(uniqueItems=True),
        [f"breaking: {FETCH}: request .experience_key uniqueItems none -> True"],
    ),
    Row(
        "a key of a length",
        lambda d: request(d)["experience_key"]["items"].update(maxLength=64, minLength=2),
        [
            f"breaking: {FETCH}: request .experience_key [] maxLength none -> 64",
            f"breaking: {FETCH}: request .experience_key [] minLength none -> 2",
        ],
    ),
    Row(
        "a key of a pattern",
        lambda d: request(d)["experience_key"]["items"].update(pattern="^[a-z-]+$"),
        [f"warning: {FETCH}: request .experience_key [] pattern none -> '^[a-z-]+$'"],
    ),
    Row(
        "fewer events a request",
        lambda d: elements(d).update(maxItems=50),
        [f"breaking: {REPORT}: request .elements maxItems 100 -> 50"],
        ["MAX_ELEMENTS"],
    ),
    Row(
        "a smaller offset",
        lambda d: elements(d)["items"]["properties"]["user_timezone_offset"].update(maximum=50400),
        [f"breaking: {REPORT}: request .elements [] .user_timezone_offset maximum 54000 -> 50400"],
        ["OFFSET"],
    ),
    # What is sent.
    Row(
        "a field that may be sent",
        lambda d: request(d).update(LOCALE={"type": "string"}),
        [f"info: {FETCH}: request .LOCALE added"],
    ),
    Row(
        "a field that has to be sent",
        lambda d: body(operation(d)).update(required=["identifiers"]),
        [f"breaking: {FETCH}: request .identifiers is now required"],
    ),
    Row(
        "a field that is gone",
        lambda d: request(d).pop("USER_AGENT"),
        [f"breaking: {FETCH}: request .USER_AGENT removed"],
        ["the fields of a request"],
    ),
    Row(
        "a field of another name",
        lambda d: rename(request(d), "USER_IP_ADDRESS", "CLIENT_IP"),
        [f"breaking: {FETCH}: request .USER_IP_ADDRESS renamed .CLIENT_IP"],
        ["the fields of a request"],
    ),
    Row(
        "other fields only as text",
        lambda d: body(operation(d)).update(additionalProperties={"type": "string"}),
        [f"breaking: {FETCH}: request .* type any -> string"],
    ),
    Row(
        "no other fields",
        lambda d: body(operation(d)).update(additionalProperties=False),
        [f"breaking: {FETCH}: request admits no further fields any more"],
    ),
    Row(
        "a day cut short",
        lambda d: request(d)["DAY_OF_THE_WEEK"].update(enum=["Mon", *request(d)["DAY_OF_THE_WEEK"]["enum"][1:]]),
        [
            f"breaking: {FETCH}: request .DAY_OF_THE_WEEK value 'Monday' removed",
            f"info: {FETCH}: request .DAY_OF_THE_WEEK value 'Mon' added",
        ],
        ["DAYS"],
    ),
    Row(
        "an hour of one digit",
        lambda d: request(d)["TIME_OF_THE_DAY"]["enum"].__setitem__(8, "8"),
        [
            f"breaking: {FETCH}: request .TIME_OF_THE_DAY value '08' removed",
            f"info: {FETCH}: request .TIME_OF_THE_DAY value '8' added",
        ],
        ["hours of two digits"],
    ),
    Row(
        "a default",
        lambda d: request(d)["USER_AGENT"].update(default="none"),
        [f"warning: {FETCH}: request .USER_AGENT default none -> 'none'"],
    ),
    Row(
        "a field that is only read",
        lambda d: request(d)["USER_AGENT"].update(readOnly=True),
        [f"warning: {FETCH}: request .USER_AGENT is now readOnly"],
    ),
    Row(
        "a deprecated field",
        lambda d: request(d)["USER_AGENT"].update(deprecated=True),
        [f"warning: {FETCH}: request .USER_AGENT is now deprecated"],
    ),
    Row(
        "a body that may be left out",
        lambda d: operation(d)["requestBody"].update(required=False),
        [f"info: {FETCH}: request body is no longer required"],
    ),
    Row(
        "an event by another action",
        lambda d: event(d)["action"].update(enum=["SHOWN", "CLICKED"]),
        [
            f"breaking: {ACTION} value 'MOE_PERSONALIZATION_MESSAGE_CLICKED' removed",
            f"breaking: {ACTION} value 'MOE_PERSONALIZATION_MESSAGE_SHOWN' removed",
            f"info: {ACTION} value 'CLICKED' added",
            f"info: {ACTION} value 'SHOWN' added",
        ],
        ["SHOWN, CLICKED"],
    ),
    Row(
        "another type of context in an event",
        lambda d: event(d)["attributes"]["properties"]["type"]["enum"].append("App Personalization"),
        [f"info: {REPORT}: request .elements [] .actions [] .attributes .type value 'App Personalization' added"],
    ),
    Row(
        "an event time that is text",
        lambda d: event(d)["event_time"].update(type="string", format="date-time"),
        [f"breaking: {REPORT}: request .elements [] .actions [] .event_time type integer -> string"],
    ),
    # What is answered.
    Row(
        "a field in the answer",
        lambda d: experience(d).update(priority={"type": "integer"}),
        [f"info: {FETCH}: response 200 .experiences .* .priority added"],
    ),
    Row(
        "a variable's type of another name",
        lambda d: rename(variable(d), "data_type", "dataType"),
        [f"breaking: {VALUE}.data_type renamed .dataType"],
        ["VALUE, DATA_TYPE"],
    ),
    Row(
        "a field of the context that is gone",
        lambda d: context(d).pop("audience_id"),
        [f"breaking: {CONTEXT}.audience_id removed"],
        ["REQUIRED"],
    ),
    Row(
        "a new type of value",
        lambda d: variable(d)["data_type"]["enum"].append("array"),
        [f"warning: {VALUE}.data_type a new value may arrive: 'array'"],
    ),
    Row(
        "a type of value that goes",
        lambda d: variable(d)["data_type"]["enum"].remove("float"),
        [f"info: {VALUE}.data_type value 'float' removed"],
        ["the types that are read"],
    ),
    Row(
        "any type of value",
        lambda d: variable(d)["data_type"].pop("enum"),
        [f"warning: {VALUE}.data_type values ['string', 'number', 'boolean', 'json', 'float'] -> any"],
    ),
    Row(
        "a field of the context that may be null",
        lambda d: context(d)["cid"].update(nullable=True),
        [f"breaking: {CONTEXT}.cid type string -> null|string"],
    ),
    Row(
        "a field of the context of another type",
        lambda d: context(d)["moe_variation_id"].update(type="integer"),
        [f"breaking: {CONTEXT}.moe_variation_id type string -> integer"],
    ),
    Row(
        "a field of the context of a format",
        lambda d: context(d)["cid"].update(format="uuid"),
        [f"warning: {CONTEXT}.cid format none -> 'uuid'"],
    ),
    Row(
        "a longer answer",
        lambda d: context(d)["cid"].update(maxLength=100),
        [f"info: {CONTEXT}.cid maxLength none -> 100"],
    ),
    Row(
        "another status of an experience",
        lambda d: listed(d)["status"]["enum"].append("Archived"),
        [f"warning: {LIST}: response 200 .metadata .experiences [] .status a new value may arrive: 'Archived'"],
    ),
    Row(
        "statuses in lower case",
        lambda d: listed(d)["status"].update(enum=["active", "Paused", "Scheduled"]),
        [
            f"info: {LIST}: response 200 .metadata .experiences [] .status value 'Active' removed",
            f"warning: {LIST}: response 200 .metadata .experiences [] .status a new value may arrive: 'active'",
        ],
        ["STATUSES"],
    ),
    Row(
        "a refusal without a code",
        lambda d: refusal(d)["properties"].pop("code"),
        [f"breaking: {LIST}: response 400 .code removed (the same in 8 more place(s))"],
        ["TITLE, DESCRIPTION, CODE"] * 3,
    ),
    Row(
        "a media type swapped",
        _media,
        [f"breaking: {LIST}: response 200 media type application/json -> application/vnd.x+json"],
        ["one experience", "the list"],
    ),
    Row(
        "a status of a refusal that is gone",
        lambda d: operation(d)["responses"].pop("500"),
        [f"warning: {FETCH}: response 500 removed"],
    ),
    Row(
        "a status of a refusal that is new",
        lambda d: operation(d)["responses"].update({"429": {"description": "Too many."}}),
        [f"info: {FETCH}: response 429 added"],
    ),
    Row(
        "a header of an answer",
        lambda d: operation(d)["responses"]["200"].update(headers={"X-Limit": {"schema": {"type": "integer"}}}),
        [f"info: {FETCH}: response 200 header X-Limit added"],
    ),
    # Parameters.
    Row(
        "the header renamed",
        _header("MOE-WORKSPACE"),
        [f"breaking: {LIST}: header parameter MOE-APPKEY renamed MOE-WORKSPACE (the same in 2 more place(s))"],
        ["the header with the workspace"] * 3,
    ),
    Row(
        "a parameter more",
        lambda d: metadata(d)["parameters"].append({"name": "page", "in": "query", "schema": {"type": "integer"}}),
        [f"info: {LIST}: query parameter page added"],
    ),
    Row(
        "a parameter that has to be sent",
        lambda d: metadata(d)["parameters"][1].update(required=True),
        [f"breaking: {LIST}: query parameter status is now required"],
    ),
    Row(
        "a parameter with a default",
        lambda d: metadata(d)["parameters"][1]["schema"].update(default="Active"),
        [f"breaking: {LIST}: query parameter status default none -> 'Active'"],
    ),
    Row(
        "a parameter in another style",
        lambda d: metadata(d)["parameters"][1].update(style="pipeDelimited", explode=False),
        [
            f"breaking: {LIST}: query parameter status explode changed",
            f"breaking: {LIST}: query parameter status style changed",
        ],
    ),
    # Around it.
    Row(
        "another version in the address",
        _server("https://sdk-{dc}.moengage.com/v2"),
        [f"breaking: {LIST}: servers ['{V1}'] -> ['https://sdk-{{dc}}.moengage.com/v2'] (the same in 2 more place(s))"],
        ["SERVER"] * 3,
    ),
    Row(
        "a server of one operation",
        lambda d: events(d).update(servers=[{"url": "https://events.moengage.com/v1"}]),
        [
            f"breaking: {REPORT}: servers ['{V1}'] -> ['https://events.moengage.com/v1']",
        ],
        ["SERVER"],
    ),
    Row(
        "another default data center",
        lambda d: d["servers"][0]["variables"]["dc"].update(default="02"),
        [f"warning: {LIST}: server variable dc default '01' -> '02' (the same in 2 more place(s))"],
    ),
    Row(
        "a data center that is not known here",
        _centers,
        [
            f"breaking: {LIST}: server variable dc values any -> ['01', '02', '03', '04', '05', '06', '07', '101'] "
            "(the same in 2 more place(s))"
        ],
        ["DataCenter"] * 3,
    ),
    Row(
        "the data centers that are known here",
        _all_centers,
        [
            f"breaking: {LIST}: server variable dc values any -> ['01', '02', '03', '04', '05', '06', '101'] "
            "(the same in 2 more place(s))"
        ],
    ),
    Row(
        "bearer instead of basic",
        _bearer,
        [f"breaking: {LIST}: security http basic -> http bearer (the same in 2 more place(s))"],
        ["Credentials"] * 3,
    ),
    Row(
        "a second way in",
        _basic_or_key,
        [f"info: {LIST}: security http basic -> http basic or apikey header x-key (the same in 2 more place(s))"],
    ),
    Row(
        "another way in to one operation",
        _key_only_for_fetch,
        [f"breaking: {FETCH}: security http basic -> apikey header x-key"],
        ["Credentials"],
    ),
    Row(
        "nothing to get in with",
        lambda d: d.pop("security"),
        [f"breaking: {LIST}: security http basic -> nothing (the same in 2 more place(s))"],
        ["Credentials"] * 3,
    ),
    Row(
        "a deprecated operation",
        lambda d: operation(d).update(deprecated=True),
        [f"warning: {FETCH}: is now deprecated"],
    ),
    Row("an operationId that is laid over", lambda d: operation(d).update(operationId="fetch")),
    Row(
        "a tag that moves an import path",
        lambda d: operation(d).update(tags=["Personalize"]),
        [f"breaking: {FETCH}: tag Experiences -> Personalize, after which the import path is named"],
    ),
    Row(
        "a second tag",
        lambda d: operation(d)["tags"].append("Server-side"),
        [f"info: {FETCH}: tags ['Experiences'] -> ['Experiences', 'Server-side']"],
    ),
    Row(
        "an operation more",
        lambda d: d["paths"].update({"/x": {"get": {"operationId": "x", "responses": {"200": {"description": ""}}}}}),
        ["info: GET /x: operation added"],
    ),
    Row(
        "a keyword that is not known here",
        lambda d: context(d)["cid"].update({"not": {"type": "integer"}}),
        [f"warning: {CONTEXT}.cid not changed"],
    ),
]
