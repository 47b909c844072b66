"""What README shows is what is there: the bot, and the two commands of its first screen."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_SCREEN_LINES = 25


def test_the_bot_is_the_example() -> None:
    """tests/integration/test_sdk_process.py runs it."""
    assert f"```python\n{(ROOT / 'examples' / 'bot.py').read_text(encoding='utf-8')}```" in README


def test_run_and_test_stand_on_the_first_screen() -> None:
    first = README.splitlines()[:FIRST_SCREEN_LINES]
    assert any(line.startswith("make run") for line in first)
    assert any(line.startswith("make test") for line in first)
