"""What a package offers (`__all__`) exists, is sorted for the eye, and says what it is."""

from __future__ import annotations

import importlib
import inspect

import pytest

from tests.tidy.sources import ROOT, code_files, text_of

WITH_ALL = [
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    for path in code_files("src")
    if "\n__all__ = " in text_of(path)
]


@pytest.mark.parametrize("name", WITH_ALL)
def test_everything_offered_exists_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    offered: list[str] = module.__all__
    assert len(offered) == len(set(offered))
    for item in offered:
        value = getattr(module, item)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name}.{item} has no docstring"


def test_the_sdk_has_one_door() -> None:
    assert "iris_sdk" in WITH_ALL
