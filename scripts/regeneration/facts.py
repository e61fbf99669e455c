"""What the wrapper knows by heart about the API's document, in one table.

Types are held against the generated client by mypy; a number, a name or a spelling is not. So every one that the
wrapper, its events or its sandbox rely on stands in a row here: the constant, the place in the document and the value.
Imported in a process of its own, over the package that was just generated (fit.py), and by the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

# Where the constants stand; the only lines to change when one moves.
from moengage_personalize._generated import DAYS
from moengage_personalize._operations import STATUSES
from moengage_personalize._reporting import MAX_ELEMENTS
from moengage_personalize._settings import SERVER, DataCenter
from moengage_personalize._split import KEYS_PER_REQUEST
from moengage_personalize.events import CLICKED, OFFSET, PLATFORMS, REQUIRED, SHOWN

from .contract import Fact

OPERATIONS = (("/experiences/fetch", "post"), ("/experiences/metadata", "get"), ("/experiences/events", "post"))
JSON = "content['application/json'].schema"
FETCH, METADATA, EVENTS = (f"$.paths['{path}'].{method}" for path, method in OPERATIONS)
REQUEST = f"{FETCH}.requestBody.{JSON}.properties"
ANSWER = f"{FETCH}.responses['200'].{JSON}.properties"
EXPERIENCE = f"{ANSWER}.experiences.additionalProperties.properties"
VARIABLE = f"{EXPERIENCE}.payload.additionalProperties.properties"
LISTED = f"{METADATA}.responses['200'].{JSON}.properties.metadata.properties"
ELEMENT = f"{EVENTS}.requestBody.{JSON}.properties.elements"
EVENT = f"{ELEMENT}.items.properties.actions.items.properties"
HOURS = tuple(f"{hour:02d}" for hour in range(24))


def _of_each_operation() -> Iterator[Fact]:
    for operation in (FETCH, METADATA, EVENTS):
        yield Fact("_settings.SERVER", f"{operation}.servers[*].url", "equals", SERVER)
        centers = tuple(center.value for center in DataCenter)
        yield Fact("_settings.DataCenter", f"{operation}.servers[*].variables.dc.enum", "if listed", centers)
        # One scheme alone has to be a way in, which is what [?@[0] && !@[1]] says: an item, and no second one.
        yield Fact("_settings.Credentials", f"{operation}.security[?@[0] && !@[1]][0].scheme", "includes", "basic")
        header = f"{operation}.parameters[?@.in == 'header' && @.required == true].name"
        yield Fact("_generated: the header with the workspace", header, "includes", "MOE-APPKEY")
        refused = f"{operation}.responses['400', '401', '500'].{JSON}.properties"
        yield Fact("_generated.TITLE, DESCRIPTION, CODE", refused, "names", ("title", "description", "code"))


FACTS: tuple[Fact, ...] = (
    *_of_each_operation(),
    # Asking for experiences.
    Fact("_split.KEYS_PER_REQUEST", f"{REQUEST}.experience_key.maxItems", "equals", KEYS_PER_REQUEST),
    Fact("_generated.DAYS", f"{REQUEST}.DAY_OF_THE_WEEK.enum", "admits", DAYS),
    Fact("_generated: hours of two digits", f"{REQUEST}.TIME_OF_THE_DAY.enum", "admits", HOURS),
    Fact(
        "_generated: the fields of a request",
        REQUEST,
        "names",
        ("identifiers", "experience_key", "DAY_OF_THE_WEEK", "TIME_OF_THE_DAY", "USER_IP_ADDRESS", "USER_AGENT"),
    ),
    Fact("_generated: who asks", f"{REQUEST}.identifiers.properties", "names", ("customer_id", "user_identifiers")),
    # Reading them.
    Fact("_generated: the answer", ANSWER, "names", ("experiences",)),
    Fact("_generated.PAYLOAD, CONTEXT", EXPERIENCE, "names", ("payload", "experience_context")),
    Fact("_generated.VALUE, DATA_TYPE", VARIABLE, "names", ("value", "data_type")),
    Fact(
        "_experiences: the types that are read",
        f"{VARIABLE}.data_type['enum', 'x-extensible-enum']",
        "admits",
        ("number", "float", "boolean", "json"),
    ),
    Fact("events.REQUIRED", f"{EXPERIENCE}.experience_context.properties", "names", REQUIRED),
    # Listing what the workspace has.
    Fact("_generated: the query", f"{METADATA}.parameters[?@.in == 'query'].name", "includes", "status"),
    Fact("_operations.STATUSES", f"{METADATA}.parameters[?@.name == 'status'].schema.enum", "admits", STATUSES),
    Fact("_operations: the list", LISTED, "names", ("experiences",)),
    Fact(
        "_operations: one experience",
        f"{LISTED}.experiences.items.properties",
        "names",
        ("experience_key", "experience_name", "status"),
    ),
    Fact(
        "_operations.STATUSES",
        f"{LISTED}.experiences.items.properties.status['enum', 'x-extensible-enum']",
        "admits",
        STATUSES,
    ),
    # Reporting what was seen and clicked.
    Fact("_reporting.MAX_ELEMENTS", f"{ELEMENT}.maxItems", "equals", MAX_ELEMENTS),
    Fact(
        "_reporting: one visitor",
        f"{ELEMENT}.items.properties",
        "names",
        ("customer_id", "user_attributes", "user_timezone_offset", "actions"),
    ),
    Fact("events.OFFSET", f"{ELEMENT}.items.properties.user_timezone_offset.maximum", "equals", OFFSET),
    Fact("events.OFFSET", f"{ELEMENT}.items.properties.user_timezone_offset.minimum", "equals", -OFFSET),
    Fact(
        "_reporting: one event",
        EVENT,
        "names",
        ("action", "moe_event_uuid", "event_time", "platform", "attributes", "b_id"),
    ),
    Fact("events.SHOWN, CLICKED", f"{EVENT}.action.enum", "admits", (SHOWN, CLICKED)),
    Fact("events.PLATFORMS", f"{EVENT}.platform.enum", "admits", PLATFORMS),
    Fact("events.REQUIRED", f"{EVENT}.attributes.properties", "names", REQUIRED),
    Fact("events.REQUIRED", f"{EVENT}.attributes.required", "if listed", REQUIRED),
)
