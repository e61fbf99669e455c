from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.experience_context import ExperienceContext
    from ..models.payload import Payload


T = TypeVar("T", bound="Experience")


@_attrs_define
class Experience:
    """
    Attributes:
        payload (None | Payload | Unset): Contains all key-value pairs defined as part of the experience. Variable names
            are set by the campaign creator in the MoEngage dashboard.
        experience_context (ExperienceContext | None | Unset): Campaign metadata for this experience. **Store this
            entire object** — its fields must be passed as `attributes` in the [Track Experience
            Events](#operation/reportExperienceEvents) request to record impressions and clicks.
    """

    payload: None | Payload | Unset = UNSET
    experience_context: ExperienceContext | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.experience_context import ExperienceContext  # noqa: PLC0415
        from ..models.payload import Payload  # noqa: PLC0415

        payload: dict[str, Any] | None | Unset
        if isinstance(self.payload, Unset):
            payload = UNSET
        elif isinstance(self.payload, Payload):
            payload = self.payload.to_dict()
        else:
            payload = self.payload

        experience_context: dict[str, Any] | None | Unset
        if isinstance(self.experience_context, Unset):
            experience_context = UNSET
        elif isinstance(self.experience_context, ExperienceContext):
            experience_context = self.experience_context.to_dict()
        else:
            experience_context = self.experience_context

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if payload is not UNSET:
            field_dict["payload"] = payload
        if experience_context is not UNSET:
            field_dict["experience_context"] = experience_context

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.experience_context import ExperienceContext  # noqa: PLC0415
        from ..models.payload import Payload  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_payload(data: object) -> None | Payload | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                payload_type_0 = Payload.from_dict(data)

                return payload_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Payload | Unset, data)

        payload = _parse_payload(d.pop("payload", UNSET))

        def _parse_experience_context(data: object) -> ExperienceContext | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                experience_context_type_0 = ExperienceContext.from_dict(data)

                return experience_context_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ExperienceContext | None | Unset, data)

        experience_context = _parse_experience_context(
            d.pop("experience_context", UNSET)
        )

        experience = cls(
            payload=payload,
            experience_context=experience_context,
        )

        experience.additional_properties = d
        return experience

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
