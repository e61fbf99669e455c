from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.user_identifiers import UserIdentifiers


T = TypeVar("T", bound="Identifiers")


@_attrs_define
class Identifiers:
    """
    Attributes:
        customer_id (str | Unset): Your brand provides this field, which should be pasted in the request. Generally,
            this is the phone number, email ID, or any other unique ID used to uniquely identify the user in MoEngage.

            This is essential for fetching experiences that are configured for audiences segmented based on user
            attributes/user behavior/user affinity/custom segments.

            If the the **customer_id** is not part of the request **OR** is inaccurate **OR** is not present in MoEngage,
            **user_identifiers** to uniquely identify the user.

            It is mandatory to have [Identity Resolution](/user-guide/data/user-data/unified-identity-identity-resolution)
            implemented for your workspace to use *user_identifiers* as a fallback to **customer_id** for identifying the
            user.
        user_identifiers (str | Unset | UserIdentifiers): If you have [Identity Resolution](/user-guide/data/user-
            data/unified-identity-identity-resolution) enabled for your account, you can use different attributes such as
            customer ID OR email ID OR mobile number to uniquely identify a user.

            Apart from email id or phone number, you can use any custom user attribute that is being used as part of the
            Identity Resolution.

            If the **user_identifiers** is not part of the request **OR** the **user_identifier** is not present in
            MoEngage, the API will return experiences configured for All users.
    """

    customer_id: str | Unset = UNSET
    user_identifiers: str | Unset | UserIdentifiers = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.user_identifiers import UserIdentifiers  # noqa: PLC0415

        customer_id = self.customer_id

        user_identifiers: dict[str, Any] | str | Unset
        if isinstance(self.user_identifiers, Unset):
            user_identifiers = UNSET
        elif isinstance(self.user_identifiers, UserIdentifiers):
            user_identifiers = self.user_identifiers.to_dict()
        else:
            user_identifiers = self.user_identifiers

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if customer_id is not UNSET:
            field_dict["customer_id"] = customer_id
        if user_identifiers is not UNSET:
            field_dict["user_identifiers"] = user_identifiers

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.user_identifiers import UserIdentifiers  # noqa: PLC0415

        d = dict(src_dict)
        customer_id = d.pop("customer_id", UNSET)

        def _parse_user_identifiers(data: object) -> str | Unset | UserIdentifiers:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                user_identifiers_user_identifiers = UserIdentifiers.from_dict(data)

                return user_identifiers_user_identifiers
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(str | Unset | UserIdentifiers, data)

        user_identifiers = _parse_user_identifiers(d.pop("user_identifiers", UNSET))

        identifiers = cls(
            customer_id=customer_id,
            user_identifiers=user_identifiers,
        )

        identifiers.additional_properties = d
        return identifiers

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
