"""What is left when nothing inside the process can help: end it, with every stack on standard error, and
let its parent act."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable

# Called with the reason, in words. It is expected not to return.
LastResort = Callable[[str], None]


def end_process(reason: str) -> None:
    """SIGABRT: the stacks of all threads, then death that the parent sees at once."""
    sys.stderr.write(f"nothing in this process can help any more: {reason}\n")
    sys.stderr.flush()
    faulthandler.dump_traceback(all_threads=True)
    os.abort()
