from typing import Literal

EventActionAction = Literal[
    "MOE_PERSONALIZATION_MESSAGE_CLICKED", "MOE_PERSONALIZATION_MESSAGE_SHOWN"
]

EVENT_ACTION_ACTION_VALUES: set[EventActionAction] = {
    "MOE_PERSONALIZATION_MESSAGE_CLICKED",
    "MOE_PERSONALIZATION_MESSAGE_SHOWN",
}


def check_event_action_action(value: str) -> EventActionAction:
    if value in EVENT_ACTION_ACTION_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {EVENT_ACTION_ACTION_VALUES!r}"
    )
