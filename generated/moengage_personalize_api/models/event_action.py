from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.event_action_action import EventActionAction, check_event_action_action
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.event_attributes import EventAttributes


T = TypeVar("T", bound="EventAction")


@_attrs_define
class EventAction:
    """
    Attributes:
        action (EventActionAction):
        moe_event_uuid (str): A UUID of version 4, one for each event; a retry has the same.
        event_time (int): Unix time in seconds.
        platform (str): web, android, ios or tv; anything else counts as unknown.
        attributes (EventAttributes): The experience_context of the answer, every field as it came.
        b_id (str | Unset): Which element was clicked.
    """

    action: EventActionAction
    moe_event_uuid: str
    event_time: int
    platform: str
    attributes: EventAttributes
    b_id: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        action: str = self.action

        moe_event_uuid = self.moe_event_uuid

        event_time = self.event_time

        platform = self.platform

        attributes = self.attributes.to_dict()

        b_id = self.b_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "action": action,
                "moe_event_uuid": moe_event_uuid,
                "event_time": event_time,
                "platform": platform,
                "attributes": attributes,
            }
        )
        if b_id is not UNSET:
            field_dict["b_id"] = b_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.event_attributes import EventAttributes  # noqa: PLC0415

        d = dict(src_dict)
        action = check_event_action_action(d.pop("action"))

        moe_event_uuid = d.pop("moe_event_uuid")

        event_time = d.pop("event_time")

        platform = d.pop("platform")

        attributes = EventAttributes.from_dict(d.pop("attributes"))

        b_id = d.pop("b_id", UNSET)

        event_action = cls(
            action=action,
            moe_event_uuid=moe_event_uuid,
            event_time=event_time,
            platform=platform,
            attributes=attributes,
            b_id=b_id,
        )

        event_action.additional_properties = d
        return event_action

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
