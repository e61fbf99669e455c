from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.event_action import EventAction
    from ..models.user_attributes import UserAttributes


T = TypeVar("T", bound="EventElement")


@_attrs_define
class EventElement:
    """What one user saw and clicked.

    Attributes:
        customer_id (str): The user's id; an unknown one makes a new profile.
        actions (list[EventAction]):
        user_attributes (UserAttributes | Unset):
        user_timezone_offset (int | Unset): Seconds.
    """

    customer_id: str
    actions: list[EventAction]
    user_attributes: UserAttributes | Unset = UNSET
    user_timezone_offset: int | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        customer_id = self.customer_id

        actions = []
        for actions_item_data in self.actions:
            actions_item = actions_item_data.to_dict()
            actions.append(actions_item)

        user_attributes: dict[str, Any] | Unset = UNSET
        if not isinstance(self.user_attributes, Unset):
            user_attributes = self.user_attributes.to_dict()

        user_timezone_offset = self.user_timezone_offset

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "customer_id": customer_id,
                "actions": actions,
            }
        )
        if user_attributes is not UNSET:
            field_dict["user_attributes"] = user_attributes
        if user_timezone_offset is not UNSET:
            field_dict["user_timezone_offset"] = user_timezone_offset

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.event_action import EventAction  # noqa: PLC0415
        from ..models.user_attributes import UserAttributes  # noqa: PLC0415

        d = dict(src_dict)
        customer_id = d.pop("customer_id")

        actions = []
        _actions = d.pop("actions")
        for actions_item_data in _actions:
            actions_item = EventAction.from_dict(actions_item_data)

            actions.append(actions_item)

        _user_attributes = d.pop("user_attributes", UNSET)
        user_attributes: UserAttributes | Unset
        if isinstance(_user_attributes, Unset):
            user_attributes = UNSET
        else:
            user_attributes = UserAttributes.from_dict(_user_attributes)

        user_timezone_offset = d.pop("user_timezone_offset", UNSET)

        event_element = cls(
            customer_id=customer_id,
            actions=actions,
            user_attributes=user_attributes,
            user_timezone_offset=user_timezone_offset,
        )

        event_element.additional_properties = d
        return event_element

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
