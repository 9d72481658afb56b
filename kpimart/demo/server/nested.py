"""Requests as Bitrix24 and amoCRM take them: parameters in the notation of PHP (`filter[id][from]=1`) are a tree."""

import re
from collections.abc import Iterable
from typing import Any

from kpimart.demo.server.served import Call

Tree = dict[str, Any]

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


def nested(pairs: Iterable[tuple[str, str]]) -> Tree:
    """The tree that `name[part][part]=value` parameters describe; an empty part counts up from 0."""
    tree: Tree = {}
    for name, value in pairs:
        found = _NAME.fullmatch(name)
        first, rest = found.groups() if found else (name, "")
        _put(tree, [first, *_PART.findall(rest)], value)
    return tree


def _put(tree: Tree, path: list[str], value: str) -> None:
    for part in path[:-1]:
        below = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(below, dict):
            return
        tree = below
    tree[path[-1] or str(len(tree))] = value


def values_of(given: Any) -> list[Any]:
    """The values of a parameter that may be one value, a list, or a tree with counted parts."""
    if isinstance(given, dict):
        return list(given.values())
    return given if isinstance(given, list) else [given]


def address_of(call: Call) -> str:
    """The address of the API that was called, without a slash at its end."""
    url = call.request.url
    return f"{url.scheme}://{url.netloc}{call.request.scope.get('root_path', '')}"
