from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.experiences import Experiences


T = TypeVar("T", bound="FetchExperienceResponse")


@_attrs_define
class FetchExperienceResponse:
    """
    Attributes:
        experiences (Experiences | None | Unset): Map of `experience_key → experience_object`. Returns an empty object
            `{}` when no experiences match the user.
    """

    experiences: Experiences | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.experiences import Experiences  # noqa: PLC0415

        experiences: dict[str, Any] | None | Unset
        if isinstance(self.experiences, Unset):
            experiences = UNSET
        elif isinstance(self.experiences, Experiences):
            experiences = self.experiences.to_dict()
        else:
            experiences = self.experiences

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if experiences is not UNSET:
            field_dict["experiences"] = experiences

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.experiences import Experiences  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_experiences(data: object) -> Experiences | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                experiences_type_0 = Experiences.from_dict(data)

                return experiences_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(Experiences | None | Unset, data)

        experiences = _parse_experiences(d.pop("experiences", UNSET))

        fetch_experience_response = cls(
            experiences=experiences,
        )

        fetch_experience_response.additional_properties = d
        return fetch_experience_response

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
