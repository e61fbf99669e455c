from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.day_of_the_week import DayOfTheWeek, check_day_of_the_week
from ..models.time_of_the_day import TimeOfTheDay, check_time_of_the_day
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.identifiers import Identifiers


T = TypeVar("T", bound="FetchExperienceRequest")


@_attrs_define
class FetchExperienceRequest:
    """To target users on contextual signals such as UTM parameters, referrer, or any custom in-session attribute
    configured for your workspace, pass the parameter as a top-level field in the request body using the parameter's own
    name as the key.

    For example, if you have configured an in-session attribute with the query parameter name `utm_medium` and want to
    target users who arrived from an email campaign:

    ```json
    {
      "identifiers": { "customer_id": "user_8821" },
      "experience_key": ["email-landing-banner"],
      "utm_medium": "email"
    }
    ```

    You can pass any number of these custom keys alongside the documented fields below.

        Example:
            {'identifiers': {'customer_id': 'user_8821'}, 'experience_key': ['email-landing-banner'], 'utm_medium': 'email'}

        Attributes:
            identifiers (Identifiers | Unset):
            experience_key (list[str] | Unset): This field uniquely identifies each server-side experience created using
                MoEngage Personalize. You can pass multiple values in a single request and receive the personalized content
                defined for each experience in the response.

                To fetch the payload for a single experience:
                `experience_key: ["experience-1"]`

                To fetch payload for multiple experiences in a single call:
                `experience_key: ["experience-1", "experience-2"]`

                **Limit**: A maximum of 25 experience keys can be passed per request. If more than 25 are provided, the API
                returns the first 25 experiences.

                If no experience_key is specified, API will return:
                * all experiences for the specified customer_id **OR**
                * all experiences configured for **all users** if customer_id is not part of the request

                **Note**: Keys must be obtained from the [Fetch Experience Metadata](#operation/getMetadata) endpoint. An
                unrecognized key, or a key that the user does not match, returns a `200` response with an empty `experiences`
                object — not an error.
            day_of_the_week (DayOfTheWeek | Unset): This field must contain the day of the week for evaluating IN-session
                attribute-based experiences.

                **Accepted values**: `Monday`, `Tuesday`, `Wednesday`, `Thursday`, `Friday`, `Saturday`, `Sunday` (case-
                sensitive).

                Example: `DAY_OF_THE_WEEK: "Sunday"`
            time_of_the_day (TimeOfTheDay | Unset): This field must contain the current hour in 24-hour format (UTC) for
                evaluating IN-session attribute-based experiences. Pass as a zero-padded two-digit string (`"00"`–`"23"`).

                **Examples**: midnight = `"00"`, 7 AM = `"07"`, 2 PM = `"14"`, 7 PM = `"19"`, 11 PM = `"23"`.
            user_ip_address (str | Unset): This field must contain the user’s IP address to fetch experiences for audiences
                segmented basis  geo-location.
            user_agent (str | Unset): This field must contain the USER-AGENT HTTP header.
                This is useful to delivering experiences personalized based on in-session attributes like Device Type.
    """

    identifiers: Identifiers | Unset = UNSET
    experience_key: list[str] | Unset = UNSET
    day_of_the_week: DayOfTheWeek | Unset = UNSET
    time_of_the_day: TimeOfTheDay | Unset = UNSET
    user_ip_address: str | Unset = UNSET
    user_agent: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        identifiers: dict[str, Any] | Unset = UNSET
        if not isinstance(self.identifiers, Unset):
            identifiers = self.identifiers.to_dict()

        experience_key: list[str] | Unset = UNSET
        if not isinstance(self.experience_key, Unset):
            experience_key = self.experience_key

        day_of_the_week: str | Unset = UNSET
        if not isinstance(self.day_of_the_week, Unset):
            day_of_the_week = self.day_of_the_week

        time_of_the_day: str | Unset = UNSET
        if not isinstance(self.time_of_the_day, Unset):
            time_of_the_day = self.time_of_the_day

        user_ip_address = self.user_ip_address

        user_agent = self.user_agent

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if identifiers is not UNSET:
            field_dict["identifiers"] = identifiers
        if experience_key is not UNSET:
            field_dict["experience_key"] = experience_key
        if day_of_the_week is not UNSET:
            field_dict["DAY_OF_THE_WEEK"] = day_of_the_week
        if time_of_the_day is not UNSET:
            field_dict["TIME_OF_THE_DAY"] = time_of_the_day
        if user_ip_address is not UNSET:
            field_dict["USER_IP_ADDRESS"] = user_ip_address
        if user_agent is not UNSET:
            field_dict["USER_AGENT"] = user_agent

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.identifiers import Identifiers  # noqa: PLC0415

        d = dict(src_dict)
        _identifiers = d.pop("identifiers", UNSET)
        identifiers: Identifiers | Unset
        if isinstance(_identifiers, Unset):
            identifiers = UNSET
        else:
            identifiers = Identifiers.from_dict(_identifiers)

        experience_key = cast(list[str], d.pop("experience_key", UNSET))

        _day_of_the_week = d.pop("DAY_OF_THE_WEEK", UNSET)
        day_of_the_week: DayOfTheWeek | Unset
        if isinstance(_day_of_the_week, Unset):
            day_of_the_week = UNSET
        else:
            day_of_the_week = check_day_of_the_week(_day_of_the_week)

        _time_of_the_day = d.pop("TIME_OF_THE_DAY", UNSET)
        time_of_the_day: TimeOfTheDay | Unset
        if isinstance(_time_of_the_day, Unset):
            time_of_the_day = UNSET
        else:
            time_of_the_day = check_time_of_the_day(_time_of_the_day)

        user_ip_address = d.pop("USER_IP_ADDRESS", UNSET)

        user_agent = d.pop("USER_AGENT", UNSET)

        fetch_experience_request = cls(
            identifiers=identifiers,
            experience_key=experience_key,
            day_of_the_week=day_of_the_week,
            time_of_the_day=time_of_the_day,
            user_ip_address=user_ip_address,
            user_agent=user_agent,
        )

        fetch_experience_request.additional_properties = d
        return fetch_experience_request

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
