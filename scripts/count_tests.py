"""How many tests ran, from the reports that make leaves in target/tests; the last line of the continuous integration.

    python scripts/count_tests.py        iris: tests: python 1510, sdk 220, web 85, flows 40: 1855 passed, 3 skipped

With CI set, a skipped test of the web client or its SDK is a failure: there all that they need is there, or none of it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

FOLDER = Path(__file__).resolve().parents[1] / "target/tests"
WEB = ("sdk", "web", "flows")


def of_pytest(report: str) -> tuple[int, int, int]:
    """(passed, skipped, failed) of a JUnit report."""
    suite = ElementTree.fromstring(report)
    counts = [
        sum(int(one.get(name, 0)) for one in suite.iter("testsuite"))
        for name in ("tests", "skipped", "failures", "errors")
    ]
    tests, skipped, failed = counts[0], counts[1], counts[2] + counts[3]
    return tests - skipped - failed, skipped, failed


def of_vitest(report: str) -> tuple[int, int, int]:
    """(passed, skipped, failed) of a JSON report of Vitest."""
    said = json.loads(report)
    return said["numPassedTests"], said["numPendingTests"] + said["numTodoTests"], said["numFailedTests"]


def main() -> int:
    """Exit status."""
    parts: list[str] = []
    passed = skipped = wrong = 0
    for name in ("python", *WEB):
        path = FOLDER / (f"{name}.xml" if name == "python" else f"{name}.json")
        if not path.is_file():
            parts.append(f"{name} not run")
            continue
        counts = (of_pytest if name == "python" else of_vitest)(path.read_text(encoding="utf-8"))
        parts.append(f"{name} {counts[0]}")
        passed, skipped, wrong = passed + counts[0], skipped + counts[1], wrong + counts[2]
        if counts[1] and name in WEB and os.environ.get("CI"):
            print(f"iris: {name}: {counts[1]} tests were skipped", file=sys.stderr)
            wrong += counts[1]
    print(f"iris: tests: {', '.join(parts)}: {passed} passed, {skipped} skipped")
    return 1 if wrong or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
