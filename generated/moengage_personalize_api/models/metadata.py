from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.experience_metadata import ExperienceMetadata


T = TypeVar("T", bound="Metadata")


@_attrs_define
class Metadata:
    """
    Attributes:
        count (int | Unset): How many experiences follow.
        experiences (list[ExperienceMetadata] | Unset):
    """

    count: int | Unset = UNSET
    experiences: list[ExperienceMetadata] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        count = self.count

        experiences: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.experiences, Unset):
            experiences = []
            for experiences_item_data in self.experiences:
                experiences_item = experiences_item_data.to_dict()
                experiences.append(experiences_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if count is not UNSET:
            field_dict["count"] = count
        if experiences is not UNSET:
            field_dict["experiences"] = experiences

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.experience_metadata import ExperienceMetadata  # noqa: PLC0415

        d = dict(src_dict)
        count = d.pop("count", UNSET)

        _experiences = d.pop("experiences", UNSET)
        experiences: list[ExperienceMetadata] | Unset = UNSET
        if _experiences is not UNSET:
            experiences = []
            for experiences_item_data in _experiences:
                experiences_item = ExperienceMetadata.from_dict(experiences_item_data)

                experiences.append(experiences_item)

        metadata = cls(
            count=count,
            experiences=experiences,
        )

        metadata.additional_properties = d
        return metadata

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
