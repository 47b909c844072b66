"""A load that runs beside another one, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from iris.bench.errors import BenchError
from iris.bench.options import Options
from iris.bench.people import Person
from iris.bench.stage import OnMoment, Stage, load

WAIT_S = 0.1


class Beside:
    """Starts when it is told to, and ends by itself."""

    def __init__(
        self, stage: Stage, people: Sequence[Person], options: Options, numbers: dict[str, int], on_moment: OnMoment
    ) -> None:
        self._error: BaseException | None = None
        self._result: dict[str, Any] | None = None
        self._stage = stage

        def run() -> None:
            try:
                self._result = load(stage.server, people, options, numbers, on_moment)
            except BaseException as error:  # raised again in `result`
                self._error = error

        self._thread = threading.Thread(target=run, name="load beside")

    def start(self) -> None:
        self._thread.start()

    def wait_for(self, moment: threading.Event) -> None:
        """Until its observer has set this, or it has ended."""
        while not moment.wait(WAIT_S) and self._thread.is_alive():
            pass

    def join(self) -> None:
        """Wait for its end, if it has begun."""
        if self._thread.ident is not None:
            self._thread.join()

    def result(self) -> dict[str, Any]:
        """What it counted, after its end. Raises BenchError."""
        if self._result is None:
            what = f"the load beside ended early: {self._error}"
            raise BenchError(what, self._stage.server.output) from self._error
        return self._result
