from typing import Literal

DayOfTheWeek = Literal[
    "Friday", "Monday", "Saturday", "Sunday", "Thursday", "Tuesday", "Wednesday"
]

DAY_OF_THE_WEEK_VALUES: set[DayOfTheWeek] = {
    "Friday",
    "Monday",
    "Saturday",
    "Sunday",
    "Thursday",
    "Tuesday",
    "Wednesday",
}


def check_day_of_the_week(value: str) -> DayOfTheWeek:
    if value in DAY_OF_THE_WEEK_VALUES:
        return value
    raise TypeError(
        f"Unexpected value {value!r}. Expected one of {DAY_OF_THE_WEEK_VALUES!r}"
    )
