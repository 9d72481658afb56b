"""The process that judges: reads requests from standard input, answers on standard output, a line each.

It is started when a run begins and imports Great Expectations, which takes seconds, while the run fetches and builds.
"""

import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from typing import TextIO

from kpimart.quality.protocol import Request, answer, failure

LOOKS_EVERY_SECONDS = 0.1


def main() -> None:
    """Answer until the run closes standard input. Whatever a library prints goes to standard error instead."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


def serve(requests: Iterable[str], answers: TextIO) -> None:
    # Nothing of what an import makes is garbage, and looking for it takes a twentieth of the time.
    gc.disable()
    from kpimart.quality.judgement import judge

    gc.enable()
    for line in requests:
        try:
            said = answer(judge(Request.from_line(line)))
        # The one who asked must learn of anything that kept this process from judging.
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            said = failure(f"{type(error).__name__}: {error}")
        print(said, file=answers, flush=True)


def _end_with(run: int) -> None:
    """End as soon as the run is gone: who judged on would keep the next run from the file."""
    while os.getppid() == run:
        time.sleep(LOOKS_EVERY_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
