"""Progress of long work, on standard error: tqdm's bar where it is installed, plain lines otherwise."""

import sys
import time
from typing import Any

SECONDS_BETWEEN_LINES = 30


def _bar_class() -> Any:
    """Return tqdm's class where a bar can be drawn, in a terminal or notebook with tqdm installed; else None."""
    if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm


class Progress:
    """A progress bar, or in a log a line after each tenth of the work and each half minute; a context manager.

    Parameters
    ----------
    total : int
        Units of work, 0 where that is not known: then a line after every half minute only.
    description : str
    enabled : bool, optional
        False shows nothing.
    """

    def __init__(self, total: int, description: str, enabled: bool = True) -> None:
        self._total = total
        self._description = description
        self._done = 0
        self._tenths = 0
        self._note = ""
        self._enabled = enabled and sys.stderr is not None  # a daemon's is closed
        self._start = self._last_line = time.perf_counter()
        self._bar = None
        bar_class = _bar_class() if self._enabled else None
        if bar_class is not None:
            self._bar = bar_class(total=total or None, desc=description, dynamic_ncols=True, leave=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def note(self, text: str) -> None:
        """Show ``text`` behind the bar, or at the end of the next line."""
        self._note = text
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def update(self, count: int = 1) -> None:
        """Count ``count`` more units as done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
            return
        if not self._enabled:
            return
        now = time.perf_counter()
        tenths = self._done * 10 // self._total if self._total else 0
        if tenths > self._tenths or now - self._last_line > SECONDS_BETWEEN_LINES:
            self._tenths, self._last_line = tenths, now
            seconds = now - self._start
            of = f"/{self._total}" if self._total else ""
            line = f"{self._description}: {self._done}{of}, {seconds:.1f} s  {self._note}"
            print(line.rstrip(), file=sys.stderr, flush=True)
