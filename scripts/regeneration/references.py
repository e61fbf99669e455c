"""Follows `$ref` inside one document.

A reference is an object with a `$ref` that is text. `linked` makes of a document a graph in which what is referred to
stands in the place of the reference, the very same object, so that a JSONPath goes through it and a change reaches it.
`unlinked` puts the references back. Where a schema contains itself, the reference that would close the circle stays, so
that whoever walks through the graph comes to an end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from . import Object, StepFailed, is_list, is_object, part, parts

LARGEST = 500_000  # places of a graph, each counted as often as a walk comes to it; the published document has 2,000


def reference(node: object) -> str | None:
    """What an object refers to, None if it is no reference."""
    target = node.get("$ref") if is_object(node) else None
    return target if isinstance(target, str) else None


def resolve(node: Any, document: Any) -> Any:
    """What a node stands for, through every reference in a row; KeyError if there is nothing."""
    followed: list[str] = []
    while (target := reference(node)) is not None:
        if target in followed:
            raise KeyError(target)
        followed.append(target)
        node = _at(target, document)
    return node


def _at(target: str, document: Any) -> Any:
    node = document
    for step in target.removeprefix("#/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if is_list(node) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        elif is_object(node):
            node = node[name]
        else:
            raise KeyError(target)
    return node


def check(document: Object, step: str) -> None:
    """Refuse references that lead out of the document, to nothing or in a circle, before anything follows one."""
    found = list(_references(document, "#"))
    outside = [f"{place}: {target!r}" for place, target in found if not target.startswith("#/")]
    if outside:
        raise StepFailed(step, _listed("expected each $ref to begin with '#/', got", outside))
    dangling: list[str] = []
    for place, target in found:
        try:
            resolve({"$ref": target}, document)
        except KeyError:
            dangling.append(f"{place}: {target!r}")
    if dangling:
        raise StepFailed(step, _listed("expected each $ref to lead to something, got", dangling))


def _listed(title: str, places: list[str]) -> str:
    more = [f"and {len(places) - 10} more"] if len(places) > 10 else []
    return "\n  ".join([title, *places[:10], *more])


def _references(node: Any, place: str) -> Iterator[tuple[str, str]]:
    target = reference(node)
    if target is not None:
        yield place, target
    for name, inner in parts(node):
        yield from _references(inner, f"{place}/{name}")


@frozen
class Linked:
    """A document as a graph, and where which reference stood: by container and name, with what it led to."""

    document: Any
    followed: dict[tuple[int, Any], tuple[Object, Any]]

    def reference(self, container: Any, name: Any) -> str | None:
        """What stood in this place as a reference, if what it led to is still there."""
        node, target = self.followed.get((id(container), name), (None, None))
        return reference(node) if node is not None and part(container, name) is target else None

    def unlinked(self) -> Any:
        """The document with its references back in their places."""
        return self._unlink(self.document)

    def _unlink(self, node: Any) -> Any:
        made = [(name, self._inner(node, name, inner)) for name, inner in parts(node)]
        return dict(made) if is_object(node) else [inner for _, inner in made] if is_list(node) else node

    def _inner(self, container: Any, name: Any, inner: Any) -> Any:
        if self.reference(container, name) is not None:
            return dict(self.followed[id(container), name][0])
        return self._unlink(inner)


def linked(document: Object, step: str) -> Linked:
    """Link a document in place, which `check` has passed."""
    graph = Linked(document, {})
    _link(document, document, graph, inside=set(), done=set())
    if _size(document, {}) > LARGEST:
        raise StepFailed(step, f"expected at most {LARGEST:,} places once every $ref is followed, got more")
    return graph


def _link(node: Any, document: Object, graph: Linked, inside: set[int], done: set[int]) -> None:
    if id(node) in done:
        return
    inside.add(id(node))
    for name, inner in parts(node):
        target = resolve(inner, document)
        if target is not inner and id(target) not in inside:
            graph.followed[id(node), name] = (inner, target)
            node[name] = inner = target
        if (is_object(inner) or is_list(inner)) and reference(inner) is None:
            _link(inner, document, graph, inside, done)
    inside.discard(id(node))
    done.add(id(node))


def _size(node: Any, known: dict[int, int]) -> int:
    if id(node) not in known:
        known[id(node)] = 1 + sum(_size(inner, known) for _, inner in parts(node))
    return known[id(node)]
