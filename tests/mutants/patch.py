"""Puts a bug into the running product, and counts how often the changed code ran.

A function is replaced wherever it is known by name: in its module or class, in the modules that imported it, and in the
tables (dictionaries of modules) that hold it. Nothing is undone: each mutant lives in a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

PRODUCT = ("iris.", "iris_sdk.", "iris_sim.")
Bug = Callable[..., Any]  # bug(original, *arguments of the original)


class Patch:
    """What a mutant is put in through."""

    def __init__(self) -> None:
        self.calls = 0  # of changed functions, since the last reset

    def change(self, owner: Any, name: str, bug: Bug) -> None:
        """Let `owner.name` (a function of a module, a method or a property of a class) do `bug` instead."""
        original = vars(owner)[name]
        if isinstance(original, property):
            getter = original.fget
            assert getter is not None
            setattr(owner, name, property(self._counted(getter, bug)))
            return
        assert isinstance(original, FunctionType), f"{name} of {owner} is no function"
        changed = self._counted(original, bug)
        setattr(owner, name, changed)
        if isinstance(owner, ModuleType) or _in_a_table(original):
            for holder in _holders():
                for key in [key for key, value in holder.items() if value is original]:
                    holder[key] = changed

    def _counted(self, original: Callable[..., Any], bug: Bug) -> Callable[..., Any]:
        def changed(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            return bug(original, *arguments, **named)

        return changed


@dataclass(frozen=True)
class Mutant:
    """A known bug."""

    name: str
    part: str  # core, store, edge or client
    story: str  # who suffers, and how
    put_in: Callable[[Patch], None]
    faults: frozenset[str] | None  # the kinds of fault that it takes to meet it; None: all kinds
    limits: tuple[tuple[str, int], ...]  # limits that are as small as it takes
    raises: bool  # the product's own assertions may be what notices it


MUTANTS: dict[str, Mutant] = {}


def mutant(
    part: str, story: str, *, faults: str = "", limits: Mapping[str, int] | None = None, raises: bool = False
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Register a function that puts a bug in. Its name is the mutant's."""

    def register(put_in: Callable[[Patch], None]) -> Callable[[Patch], None]:
        name = put_in.__name__
        assert name not in MUTANTS, f"two mutants are called {name}"
        kinds = frozenset(faults.split()) or None
        MUTANTS[name] = Mutant(name, part, story, put_in, kinds, tuple((limits or {}).items()), raises)
        return put_in

    return register


def _holders() -> list[dict[Any, Any]]:
    """Every namespace and table of the product's modules."""
    found: list[dict[Any, Any]] = []
    for name, module in list(sys.modules.items()):
        if module is not None and (name + ".").startswith(PRODUCT):
            found.append(vars(module))
            found += [value for value in list(vars(module).values()) if isinstance(value, dict)]
    return found


def _in_a_table(function: FunctionType) -> bool:
    return any(value is function for holder in _holders() for value in list(holder.values()))
