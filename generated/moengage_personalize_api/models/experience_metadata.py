from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ExperienceMetadata")


@_attrs_define
class ExperienceMetadata:
    """
    Attributes:
        experience_name (str | Unset):
        experience_key (str | Unset):
        status (str | Unset):
    """

    experience_name: str | Unset = UNSET
    experience_key: str | Unset = UNSET
    status: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        experience_name = self.experience_name

        experience_key = self.experience_key

        status = self.status

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if experience_name is not UNSET:
            field_dict["experience_name"] = experience_name
        if experience_key is not UNSET:
            field_dict["experience_key"] = experience_key
        if status is not UNSET:
            field_dict["status"] = status

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        experience_name = d.pop("experience_name", UNSET)

        experience_key = d.pop("experience_key", UNSET)

        status = d.pop("status", UNSET)

        experience_metadata = cls(
            experience_name=experience_name,
            experience_key=experience_key,
            status=status,
        )

        experience_metadata.additional_properties = d
        return experience_metadata

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
