from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ExperienceContext")


@_attrs_define
class ExperienceContext:
    """Campaign metadata for this experience. **Store this entire object** — its fields must be passed as `attributes` in
    the [Track Experience Events](#operation/reportExperienceEvents) request to record impressions and clicks.

        Attributes:
            cid (str | Unset): Campaign ID. Pass this as `attributes.cid` in Track Experience Events.
            experience (str | Unset): Human-readable experience name from the MoEngage dashboard.
            moe_locale_id (str | Unset): Internal locale identifier. Pass as-is to Track Experience Events.
            moe_variation_id (str | Unset): Variation ID of the A/B variant served to this user. Pass as-is to Track
                Experience Events.
            audience_name (str | Unset): Name of the audience segment this user matched.
            audience_id (str | Unset): Alphanumeric audience segment ID.
            type_ (str | Unset): Experience type.
            experience_type (str | Unset): Internal experience type label (for example, `API based Experience`).
    """

    cid: str | Unset = UNSET
    experience: str | Unset = UNSET
    moe_locale_id: str | Unset = UNSET
    moe_variation_id: str | Unset = UNSET
    audience_name: str | Unset = UNSET
    audience_id: str | Unset = UNSET
    type_: str | Unset = UNSET
    experience_type: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        cid = self.cid

        experience = self.experience

        moe_locale_id = self.moe_locale_id

        moe_variation_id = self.moe_variation_id

        audience_name = self.audience_name

        audience_id = self.audience_id

        type_ = self.type_

        experience_type = self.experience_type

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if cid is not UNSET:
            field_dict["cid"] = cid
        if experience is not UNSET:
            field_dict["experience"] = experience
        if moe_locale_id is not UNSET:
            field_dict["moe_locale_id"] = moe_locale_id
        if moe_variation_id is not UNSET:
            field_dict["moe_variation_id"] = moe_variation_id
        if audience_name is not UNSET:
            field_dict["audience_name"] = audience_name
        if audience_id is not UNSET:
            field_dict["audience_id"] = audience_id
        if type_ is not UNSET:
            field_dict["type"] = type_
        if experience_type is not UNSET:
            field_dict["experience_type"] = experience_type

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        cid = d.pop("cid", UNSET)

        experience = d.pop("experience", UNSET)

        moe_locale_id = d.pop("moe_locale_id", UNSET)

        moe_variation_id = d.pop("moe_variation_id", UNSET)

        audience_name = d.pop("audience_name", UNSET)

        audience_id = d.pop("audience_id", UNSET)

        type_ = d.pop("type", UNSET)

        experience_type = d.pop("experience_type", UNSET)

        experience_context = cls(
            cid=cid,
            experience=experience,
            moe_locale_id=moe_locale_id,
            moe_variation_id=moe_variation_id,
            audience_name=audience_name,
            audience_id=audience_id,
            type_=type_,
            experience_type=experience_type,
        )

        experience_context.additional_properties = d
        return experience_context

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
