"""Tells two editions of a document apart: what changes for a caller of the generated client, worst first.

Compared are the effective documents, because those are what a caller meets. References are followed, so that moving a
schema under `components` is no change; wording and order are left out. The levels are those of oasdiff
(https://github.com/oasdiff/oasdiff/blob/main/docs/BREAKING-CHANGES.md): a request may allow more and an answer may
promise more, the other way round breaks a caller. Whatever keyword is not known here counts as a change all the same.

One cause is one line: what is removed is not followed inside, what is renamed is one change and not two, and what
changes in the same way in several places, or in a component that several places use, is told once.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import Factory, define, field, frozen

from . import Object, companion, is_list, is_object
from .contract import METHODS
from .references import reference, resolve
from .schemas import LOWER, NUMBERS, UPPER, Node, View, same

Level = Literal["breaking", "warning", "info"]
LEVELS: tuple[Level, ...] = ("breaking", "warning", "info")


@define
class Change:
    """One cause, with every place in which a caller meets it."""

    level: Level
    text: str
    places: list[str] = Factory(list[str])

    def __str__(self) -> str:
        more = len(self.places) - 1
        return f"{self.places[0]} {self.text}{f' (the same in {more} more place(s))' if more else ''}"


@frozen
class Edition:
    """One of the two documents."""

    document: Object

    def into(self, node: Node, name: Any) -> Node:
        """A part of a part, which has to be there."""
        return self._followed(node.value[name], f"{node.pointer}/{name}")

    def view(self, node: Node) -> View:
        """A part as a schema."""
        return View.of(node.value, lambda value, way: self._followed(value, f"{node.pointer}/{way}"))

    def _followed(self, value: Any, pointer: str) -> Node:
        while (target := reference(value)) is not None:
            pointer, value = target, resolve(value, self.document)
        return Node(value, pointer)

    def operations(self) -> dict[str, tuple[Node, Node]]:
        """Each operation with the path that it belongs to."""
        paths = Node(self.document["paths"], "#/paths")
        items = {path: self.into(paths, path) for path in paths.value if path.startswith("/")}
        return {
            f"{method.upper()} {path}": (item, self.into(item, method))
            for path, item in items.items()
            for method in METHODS
            if is_object(item.get(method))
        }

    def parameters(self, item: Node, operation: Node) -> dict[str, Node]:
        """The parameters of an operation by what tells them apart; names of headers are the same in any case."""
        found: dict[str, Node] = {}
        for holder in (operation, item):
            listed = holder.get("parameters")
            for index in range(len(listed) if is_list(listed) else 0):
                node = self.into(Node(listed, f"{holder.pointer}/parameters"), index)
                where, name = node.value["in"], node.value["name"]
                found.setdefault(f"{where} {name.lower() if where == 'header' else name}", node)
        return found

    def servers(self, item: Node, operation: Node) -> tuple[str, list[Object]]:
        """The servers of an operation, and where they stand."""
        for holder in (operation, item):
            if holder.get("servers"):
                return f"{holder.pointer}/servers", holder.value["servers"]
        return "#/servers", self.document.get("servers") or [{"url": "/"}]

    def security(self, operation: Node) -> tuple[str, list[str]]:
        """The ways in to an operation in words, and where they stand; a scheme that no operation uses is none."""
        own = operation.get("security")
        stated = own if is_list(own) else self.document.get("security", [])
        schemes: Object = self.document.get("components", {}).get("securitySchemes", {})
        ways = ["+".join(self._scheme(schemes, name) for name in sorted(one)) or "nothing" for one in stated]
        return f"{operation.pointer}/security" if is_list(own) else "#/security", ways or ["nothing"]

    def _scheme(self, schemes: Object, name: str) -> str:
        scheme = resolve(schemes.get(name, {}), self.document)
        told = (scheme.get(key) for key in ("type", "scheme", "in", "name", "openIdConnectUrl"))
        return " ".join(str(one).lower() for one in told if one) or f"unknown {name}"


def between(old: Object, new: Object) -> list[Change]:
    """What changed from one effective document to the next, breaking changes first."""
    comparison = _Comparison(Edition(old), Edition(new))
    comparison.operations()
    found = comparison.found.values()
    return sorted(found, key=lambda change: (LEVELS.index(change.level), str(change)))


@define
class _Comparison:
    old: Edition
    new: Edition
    found: dict[tuple[str, str, str], Change] = field(factory=dict[tuple[str, str, str], Change], init=False)
    _operation: str = field(default="", init=False)
    _inside: list[tuple[int, int]] = field(factory=list[tuple[int, int]], init=False)

    def _tell(self, level: Level, place: str, text: str, pointer: str = "") -> None:
        """Keep a change; the same one in a component, or in another operation, is the same cause."""
        shared = pointer.startswith(("#/components/", "#/servers", "#/security"))
        cause = pointer if shared else place or self._operation
        change = self.found.setdefault((level, cause, text), Change(level, text))
        change.places.append(f"{self._operation}: {place}".rstrip())

    def operations(self) -> None:
        before, after = self.old.operations(), self.new.operations()
        for self._operation in sorted(before.keys() - after.keys()):
            self._tell("breaking", "", "operation removed")
        for self._operation in sorted(after.keys() - before.keys()):
            self._tell("info", "", "operation added")
        for self._operation in sorted(before.keys() & after.keys()):
            old, new = before[self._operation], after[self._operation]
            self._description(old[0], new[0])
            self._names(old[1], new[1])
            self._servers(self.old.servers(*old), self.new.servers(*new))
            self._security(self.old.security(old[1]), self.new.security(new[1]))
            self._parameters(self.old.parameters(*old), self.new.parameters(*new))
            self._body(old[1], new[1])
            self._responses(old[1], new[1])
            self._others("", old[1], new[1], ("callbacks",))

    def _description(self, old: Node, new: Node) -> None:
        """Who describes it: the companion gives way to the document, and steps in for it."""
        ours, theirs = old.get(companion.MARK), new.get(companion.MARK)
        if ours and not theirs:
            self._tell("info", "", f"is described by the document now, and {companion.COMPANION} gives way")
        if theirs and not ours:
            self._tell("warning", "", f"is no longer in the document; {companion.COMPANION} describes it")

    def _names(self, old: Node, new: Node) -> None:
        before, after = old.get("operationId"), new.get("operationId")
        if before != after:
            self._tell("breaking", "", f"operationId {before} -> {after}, after which the function is named")
        before, after = old.get("tags") or ["default"], new.get("tags") or ["default"]
        if before[0] != after[0]:
            self._tell("breaking", "", f"tag {before[0]} -> {after[0]}, after which the import path is named")
        elif before != after:
            self._tell("info", "", f"tags {before} -> {after}")
        self._deprecated("", old, new)

    def _deprecated(self, place: str, old: Node, new: Node) -> None:
        before, after = bool(old.get("deprecated")), bool(new.get("deprecated"))
        if before != after:
            text = "is now deprecated" if after else "is no longer deprecated"
            self._tell("warning" if after else "info", place, text, new.pointer)

    def _servers(self, old: tuple[str, list[Object]], new: tuple[str, list[Object]]) -> None:
        before, after = ({str(server.get("url")): server for server in servers} for _, servers in (old, new))
        if before.keys() != after.keys():
            level: Level = "info" if before.keys() <= after.keys() else "breaking"
            self._tell(level, "servers", f"{list(before)} -> {list(after)}", new[0])
        for url in before.keys() & after.keys():
            self._variables(before[url].get("variables", {}), after[url].get("variables", {}), new[0])

    def _variables(self, before: Object, after: Object, pointer: str) -> None:
        for name in sorted(before.keys() | after.keys()):
            old, new = before.get(name, {}), after.get(name, {})
            place = f"server variable {name}"
            if old.get("default") != new.get("default"):
                self._tell("warning", place, f"default {old.get('default')!r} -> {new.get('default')!r}", pointer)
            listed, now = set(old.get("enum", [])), set(new.get("enum", []))
            if listed != now:
                closed = now and (listed - now or not listed)
                text = f"values {sorted(listed) or 'any'} -> {sorted(now) or 'any'}"
                self._tell("breaking" if closed else "info", place, text, pointer)

    def _security(self, old: tuple[str, list[str]], new: tuple[str, list[str]]) -> None:
        if sorted(old[1]) != sorted(new[1]):
            level: Level = "info" if set(old[1]) <= set(new[1]) else "breaking"
            self._tell(level, "security", f"{' or '.join(old[1])} -> {' or '.join(new[1])}", new[0])

    def _parameters(self, before: dict[str, Node], after: dict[str, Node]) -> None:
        gone, added = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
        for key, was in list(before.items()) if gone and added else []:
            twins = [one for one in added if self._alike(was, after[one])] if key in gone else []
            if twins:
                where, names = was.value["in"], (was.value["name"], after[twins[0]].value["name"])
                self._tell("breaking", f"{where} parameter {names[0]}", f"renamed {names[1]}", after[twins[0]].pointer)
                gone.remove(key)
                added.remove(twins[0])
        for key in gone:
            self._tell("breaking", _parameter(before[key]), "removed", before[key].pointer)
        for key in added:
            required = bool(after[key].get("required"))
            text = "added and required" if required else "added"
            self._tell("breaking" if required else "info", _parameter(after[key]), text, after[key].pointer)
        for key in before.keys() & after.keys():
            self._parameter(_parameter(after[key]), before[key], after[key])

    def _alike(self, old: Node, new: Node) -> bool:
        return old.value["in"] == new.value["in"] and all(
            same(old.get(name), new.get(name)) for name in ("schema", "content", "required", "style", "explode")
        )

    def _parameter(self, place: str, old: Node, new: Node) -> None:
        self._required(place, bool(old.get("required")), bool(new.get("required")), sent=True, pointer=new.pointer)
        self._deprecated(place, old, new)
        self._others(place, old, new, ("style", "explode", "allowReserved", "allowEmptyValue"), "breaking")
        if old.get("schema") is not None and new.get("schema") is not None:
            self._schema(place, self.old.into(old, "schema"), self.new.into(new, "schema"), sent=True, parameter=True)
        else:
            self._others(place, old, new, ("schema", "content"), "breaking")

    def _body(self, old: Node, new: Node) -> None:
        has = is_object(old.get("requestBody")), is_object(new.get("requestBody"))
        if has == (True, True):
            before, after = self.old.into(old, "requestBody"), self.new.into(new, "requestBody")
            must = bool(before.get("required")), bool(after.get("required"))
            self._required("request body", *must, sent=True, pointer=after.pointer)
            self._contents("request", before, after, sent=True)
        elif has[0]:
            self._tell("breaking", "request body", "removed")
        elif has[1]:
            required = bool(self.new.into(new, "requestBody").get("required"))
            text = "added and required" if required else "added"
            self._tell("breaking" if required else "info", "request body", text)

    def _responses(self, old: Node, new: Node) -> None:
        before, after = self.old.into(old, "responses"), self.new.into(new, "responses")
        for status in sorted(before.value.keys() - after.value.keys()):
            self._tell("breaking" if status.startswith("2") else "warning", f"response {status}", "removed")
        for status in sorted(after.value.keys() - before.value.keys()):
            self._tell("info", f"response {status}", "added")
        for status in sorted(before.value.keys() & after.value.keys()):
            was, now = self.old.into(before, status), self.new.into(after, status)
            self._contents(f"response {status}", was, now, sent=False)
            self._headers(f"response {status} header", was, now)

    def _headers(self, place: str, old: Node, new: Node) -> None:
        before, after = ({name.lower(): name for name in one.inside("headers")} for one in (old, new))
        for key in sorted(before.keys() - after.keys()):
            self._tell("warning", f"{place} {before[key]}", "removed", new.pointer)
        for key in sorted(after.keys() - before.keys()):
            self._tell("info", f"{place} {after[key]}", "added", new.pointer)
        for key in sorted(before.keys() & after.keys()):
            was = self.old.into(self.old.into(old, "headers"), before[key])
            now = self.new.into(self.new.into(new, "headers"), after[key])
            self._deprecated(f"{place} {after[key]}", was, now)
            if was.get("schema") is not None and now.get("schema") is not None:
                schemas = self.old.into(was, "schema"), self.new.into(now, "schema")
                self._schema(f"{place} {after[key]}", *schemas, sent=False)

    def _contents(self, place: str, old: Node, new: Node, *, sent: bool) -> None:
        before, after = old.inside("content"), new.inside("content")
        gone, added = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
        pairs = [(media, media) for media in sorted(before.keys() & after.keys())]
        if len(gone) == len(added) == 1:
            self._tell("breaking", f"{place} media type", f"{gone[0]} -> {added[0]}", new.pointer)
            pairs.append((gone.pop(), added.pop()))
        for media in gone:
            self._tell("breaking", f"{place} media type {media}", "removed", new.pointer)
        for media in added:
            self._tell("info", f"{place} media type {media}", "added", new.pointer)
        for before_name, after_name in pairs:
            was = self.old.into(self.old.into(old, "content"), before_name)
            now = self.new.into(self.new.into(new, "content"), after_name)
            if was.get("schema") is not None and now.get("schema") is not None:
                self._schema(place, self.old.into(was, "schema"), self.new.into(now, "schema"), sent=sent)
            else:
                self._others(place, was, now, ("schema",))

    def _required(self, place: str, before: bool, after: bool, *, sent: bool, pointer: str) -> None:
        if before != after:
            text = "is now required" if after else "is no longer required"
            self._tell("breaking" if after == sent else "info", place, text, pointer)

    def _others(self, place: str, old: Node, new: Node, names: tuple[str, ...], level: Level = "warning") -> None:
        for name in names:
            if not same(old.get(name), new.get(name)):
                self._tell(level, place, f"{name} changed", new.pointer)

    def _schema(self, place: str, old: Node, new: Node, *, sent: bool, parameter: bool = False) -> None:
        if (id(old.value), id(new.value)) in self._inside:  # a schema that contains itself
            return
        self._inside.append((id(old.value), id(new.value)))
        before, after = self.old.view(old), self.new.view(new)
        if self._types(place, before, after, new.pointer, sent=sent):
            self._values(place, before, after, new.pointer, sent=sent)
            self._limits(place, before, after, new.pointer, sent=sent)
            self._annotations(place, before, after, new.pointer, sent=sent, parameter=parameter)
            self._properties(place, before, after, new.pointer, sent=sent)
            self._inner(place, before, after, new.pointer, sent=sent)
        self._inside.pop()

    def _types(self, place: str, old: View, new: View, pointer: str, *, sent: bool) -> bool:
        """Compare the types; whether what is inside can still be compared."""
        if old.types != new.types:
            goes_on = new.admits(old) if sent else old.admits(new)
            text = f"type {'|'.join(sorted(old.types))} -> {'|'.join(sorted(new.types))}"
            self._tell("info" if goes_on else "breaking", place, text, pointer)
        return old.types - {"null"} == new.types - {"null"}

    def _values(self, place: str, old: View, new: View, pointer: str, *, sent: bool) -> None:
        before, after = old.values, new.values
        if before is None or after is None:
            if before is None and after is not None:
                self._tell("breaking" if sent and not new.open else "info", place, f"values any -> {after}", pointer)
            if after is None and before is not None:
                self._tell("info" if sent else "warning", place, f"values {before} -> any", pointer)
            return
        for value in before:
            if value not in after:
                level: Level = "info" if not sent else "warning" if new.open else "breaking"
                self._tell(level, place, f"value {value!r} removed", pointer)
        for value in after:
            if value not in before:
                text = f"value {value!r} added" if sent else f"a new value may arrive: {value!r}"
                self._tell("info" if sent else "warning", place, text, pointer)

    def _limits(self, place: str, old: View, new: View, pointer: str, *, sent: bool) -> None:
        for name in (*UPPER, *LOWER):
            before, after = old.keywords.get(name), new.keywords.get(name)
            if before == after:
                continue
            tighter = after is not None and (before is None or _tighter(name, before, after))
            text = f"{name} {_or_none(before)} -> {_or_none(after)}"
            self._tell("breaking" if tighter == sent else "info", place, text, pointer)
        for name in ("pattern", "multipleOf", "uniqueItems", "format"):
            before, after = old.keywords.get(name), new.keywords.get(name)
            if (before or None) != (after or None):
                text = f"{name} {_or_none(before)} -> {_or_none(after)}"
                self._tell(_rule(name, before, after, sent=sent), place, text, pointer)

    def _annotations(self, place: str, old: View, new: View, pointer: str, *, sent: bool, parameter: bool) -> None:
        before, after = old.keywords.get("default"), new.keywords.get("default")
        if before != after:
            level: Level = "breaking" if parameter else "warning" if sent else "info"
            self._tell(level, place, f"default {_or_none(before)} -> {_or_none(after)}", pointer)
        for name, says in (("deprecated", True), ("readOnly", sent), ("writeOnly", not sent)):
            was, now = bool(old.keywords.get(name)), bool(new.keywords.get(name))
            if was != now:
                text = f"is now {name}" if now else f"is no longer {name}"
                self._tell("warning" if now and says else "info", place, text, pointer)
        if old.title != new.title:
            self._tell("warning", place, f"title {old.title} -> {new.title}, after which the class is named", pointer)
        for name in sorted(old.others.keys() | new.others.keys()):
            if not same(old.others.get(name), new.others.get(name)):
                self._tell("warning", place, f"{name} changed", pointer)

    def _properties(self, place: str, old: View, new: View, pointer: str, *, sent: bool) -> None:
        gone = [name for name in old.properties if name not in new.properties]
        added = [name for name in new.properties if name not in old.properties]
        if len(gone) == len(added) == 1 and same(old.properties[gone[0]].value, new.properties[added[0]].value):
            self._tell("breaking", f"{place} .{gone[0]}", f"renamed .{added[0]}", pointer + "/" + added[0])
            gone, added = [], []
        for name in gone:
            self._tell("breaking", f"{place} .{name}", "removed", f"{pointer}/{name}")
        for name in added:
            must = sent and name in new.required
            text = "added and required" if must else "added"
            self._tell("breaking" if must else "info", f"{place} .{name}", text, f"{pointer}/{name}")
        for name in old.properties:
            if name in new.properties:
                inner, was, now = f"{place} .{name}", old.properties[name], new.properties[name]
                self._required(
                    inner, name in old.required, name in new.required, sent=sent, pointer=f"{pointer}/{name}"
                )
                self._schema(inner, was, now, sent=sent)

    def _inner(self, place: str, old: View, new: View, pointer: str, *, sent: bool) -> None:
        if (old.further is None) != (new.further is None):
            allowed = new.further is not None
            text = "admits further fields now" if allowed else "admits no further fields any more"
            level: Level = "breaking" if sent and not allowed else "warning" if allowed and not sent else "info"
            self._tell(level, place, text, pointer)
        if old.further is not None and new.further is not None and (old.further.value or new.further.value):
            self._schema(f"{place} .*", old.further, new.further, sent=sent)
        if old.items is not None and new.items is not None:
            self._schema(f"{place} []", old.items, new.items, sent=sent)
        if len(old.variants) == len(new.variants):
            for number, (was, now) in enumerate(zip(old.variants, new.variants, strict=True), 1):
                self._schema(f"{place} (variant {number})", was, now, sent=sent)
        else:
            self._tell("warning", place, f"{len(old.variants)} variants -> {len(new.variants)}", pointer)


def _parameter(node: Node) -> str:
    return f"{node.value['in']} parameter {node.value['name']}"


def _tighter(name: str, before: Any, after: Any) -> bool:
    if not isinstance(before, NUMBERS) or not isinstance(after, NUMBERS):
        return bool(after)  # OpenAPI 3.0 has true and false for the exclusive limits
    return after < before if name in UPPER else after > before


def _rule(name: str, before: Any, after: Any, *, sent: bool) -> Level:
    """A pattern may be looser than it looks; a format decides which type the generated client has."""
    if not after:
        return "info" if sent or name == "pattern" else "breaking" if name == "format" else "warning"
    if sent:
        return "warning" if name == "pattern" else "breaking"
    return "info" if name != "format" else "breaking" if before else "warning"


def _or_none(value: Any) -> str:
    return "none" if value is None else str(value) if isinstance(value, NUMBERS) else repr(value)
