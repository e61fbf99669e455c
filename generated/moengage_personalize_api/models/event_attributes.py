from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="EventAttributes")


@_attrs_define
class EventAttributes:
    """The experience_context of the answer, every field as it came.

    Attributes:
        cid (str):
        experience (str):
        moe_locale_id (str):
        moe_variation_id (str):
        audience_name (str):
        audience_id (str):
        type_ (str | Unset):
        b_id (str | Unset):
    """

    cid: str
    experience: str
    moe_locale_id: str
    moe_variation_id: str
    audience_name: str
    audience_id: str
    type_: str | Unset = UNSET
    b_id: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        cid = self.cid

        experience = self.experience

        moe_locale_id = self.moe_locale_id

        moe_variation_id = self.moe_variation_id

        audience_name = self.audience_name

        audience_id = self.audience_id

        type_ = self.type_

        b_id = self.b_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "cid": cid,
                "experience": experience,
                "moe_locale_id": moe_locale_id,
                "moe_variation_id": moe_variation_id,
                "audience_name": audience_name,
                "audience_id": audience_id,
            }
        )
        if type_ is not UNSET:
            field_dict["type"] = type_
        if b_id is not UNSET:
            field_dict["b_id"] = b_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        cid = d.pop("cid")

        experience = d.pop("experience")

        moe_locale_id = d.pop("moe_locale_id")

        moe_variation_id = d.pop("moe_variation_id")

        audience_name = d.pop("audience_name")

        audience_id = d.pop("audience_id")

        type_ = d.pop("type", UNSET)

        b_id = d.pop("b_id", UNSET)

        event_attributes = cls(
            cid=cid,
            experience=experience,
            moe_locale_id=moe_locale_id,
            moe_variation_id=moe_variation_id,
            audience_name=audience_name,
            audience_id=audience_id,
            type_=type_,
            b_id=b_id,
        )

        event_attributes.additional_properties = d
        return event_attributes

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
