"""Experiences from a YAML file or a dict, checked whole: every mistake is in the one error, each with its place.

The shapes are those of the file that the README describes. A dict may also be short, each key with the values that
everyone gets: {"homepage-banner": {"Title": "Hello"}}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from attrs import define, field
from jsonschema import ValidationError

from .._errors import ConfigurationError
from ._experiences import Audience, Experience, Variation, When
from ._schema import Checker, closed, some
from ._yaml import Document, Mistake, from_text, from_value, written

# Read as a resource, because in a zipapp it is no file.
BUILT_IN = files(__name__.rpartition(".")[0]) / "experiences.yaml"

LONGEST = 300  # characters of one reason; jsonschema repeats the value that does not fit

_TEXT = {"type": "string", "minLength": 1}
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_HOUR = "([01]?[0-9]|2[0-3])"
_HOURS = {"type": ["integer", "string"], "minimum": 0, "maximum": 23, "pattern": f"^{_HOUR}(-{_HOUR})?$"}
_VARIABLE = closed(["value"], value={}, data_type=_TEXT)
_VARIATION = closed(
    ["id", "payload"],
    id=_TEXT,
    weight={"type": "number", "exclusiveMinimum": 0},
    payload={"type": "object", "additionalProperties": _VARIABLE},
)
_WHEN = closed([], customer_id=some(_TEXT), day=some({"enum": _DAYS}), hour=some(_HOURS), attributes={"type": "object"})
_AUDIENCE = closed(["id", "name", "variations"], id=_TEXT, name=_TEXT, when=_WHEN, variations=some(_VARIATION))
_EXPERIENCE = closed(
    ["key", "name", "audiences"],
    key=_TEXT,
    name=_TEXT,
    campaign=_TEXT,
    status={"enum": ["Active", "Paused", "Scheduled"]},
    audiences=some(_AUDIENCE),
)
CHECKER = Checker(lambda: closed(["experiences"], experiences={"type": "array", "items": _EXPERIENCE}))


class MistakenExperiences(ConfigurationError):
    """What was read are no experiences."""

    mistakes: tuple[Mistake, ...] = ()


Experiences = tuple[Experience, ...]


def read(source: Mapping[str, Any] | Traversable | str | None) -> Experiences:
    """The experiences of a file, of a dict, or the built-in ones.

    Raises:
        ConfigurationError: the file cannot be read, or what it holds are no experiences; it names every mistake.
    """
    if source is None:
        return _built_in()
    if isinstance(source, Mapping):
        return _checked("a dict", from_value(_whole(source)))
    return _from_file(Path(source) if isinstance(source, str) else source)


def read_text(name: str, text: str) -> Experiences:
    """The experiences of YAML that was read already."""
    return _checked(name, from_text(text))


@define
class WatchedFile:
    """A file, and whether it is another than when it was last looked at."""

    path: Path
    _seen: tuple[int, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._seen = self._stamp()

    def has_changed(self) -> bool:
        """Whether it was written since the last look."""
        before, self._seen = self._seen, self._stamp()
        return self._seen != before

    def _stamp(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError:  # between two writes of an editor, which replaces it
            return (0, 0)
        return (status.st_mtime_ns, status.st_size)


@cache
def _built_in() -> Experiences:
    return _from_file(BUILT_IN)


def _from_file(path: Traversable) -> Experiences:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"expected a readable YAML file of experiences, got {path}: {error}") from error
    return read_text(str(path), text)


def _checked(name: str, document: Document) -> Experiences:
    blamed = {mistake.place for mistake in document.mistakes}  # what is no JSON is not blamed for its type as well
    for error in CHECKER.misfits(document.value):
        _explain(error, document, blamed)
    _check_keys(document)
    if document.mistakes:
        lines = [str(mistake) for mistake in sorted(document.mistakes)]
        listed = f" {lines[0]}" if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)
        mistaken = MistakenExperiences(f"expected experiences in {name}, got:{listed}")
        mistaken.mistakes = tuple(sorted(document.mistakes))
        raise mistaken
    return tuple(_experience(one) for one in document.value["experiences"])


def _explain(error: ValidationError, document: Document, blamed: set[str]) -> None:
    place = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        known: list[str] = [*schema["properties"]]
        instance = cast(dict[str, Any], error.instance)
        for name in sorted(set(instance) - set(known)):
            near: list[str] = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            document.mistaken((*place, name), f"{name!r} is not a field: {hint}")
    elif written(place) not in blamed:
        document.mistaken(place, error.message if len(error.message) <= LONGEST else f"{error.message[:LONGEST]}...")


def _check_keys(document: Document) -> None:
    """Of two experiences with one key the API could serve only one."""
    seen: set[str] = set()
    for at, key in _keys(document.value):
        if key in seen:
            document.mistaken(("experiences", at, "key"), f"expected each key once, got {key!r} again")
        seen.add(key)


def _keys(whole: Any) -> Iterator[tuple[int, str]]:
    """The keys that can be read of what may be no experiences at all."""
    with suppress(TypeError, KeyError):
        for at, one in enumerate(whole["experiences"]):
            with suppress(TypeError, KeyError):
                key: object = one["key"]
                if isinstance(key, str):
                    yield at, key


def _whole(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A dict as the file has it, whichever of the two shapes it came in."""
    if "experiences" in given and not isinstance(given["experiences"], Mapping):
        return given
    return {"experiences": [_for_everyone(key, payload) for key, payload in given.items()]}


def _for_everyone(key: object, payload: Any) -> dict[str, Any]:
    variables = payload
    if isinstance(payload, Mapping):
        given: Mapping[Any, Any] = cast(Any, payload)
        variables = {name: {"value": value, "data_type": _data_type(value)} for name, value in given.items()}
    variations = [{"id": "1", "payload": variables}]
    return {"key": key, "name": key, "audiences": [{"id": "ALL", "name": "Everyone", "variations": variations}]}


def _data_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "json"


def _experience(given: dict[str, Any]) -> Experience:
    audiences: Any = [_audience(one) for one in given["audiences"]]
    return Experience(**(given | {"audiences": audiences}))


def _audience(given: dict[str, Any]) -> Audience:
    variations = [Variation(**one) for one in given["variations"]]
    parts: Any = {"variations": variations, "when": When(**given.get("when", {}))}
    return Audience(**(given | parts))
