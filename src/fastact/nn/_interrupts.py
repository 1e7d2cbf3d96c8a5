"""Ctrl-C waits until what must not be cut in two is done."""

import signal
import threading


class Whole:
    """A context manager in which calls made by `run` are finished before SIGINT's handler (KeyboardInterrupt) gets it.

    In other threads than the main one, which never see a signal, and where Python does not handle it, it does nothing.
    """

    def __init__(self):
        self._handler = None
        self._running = False
        self._pending = None

    def __enter__(self):
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._handler = handler
            signal.signal(signal.SIGINT, self._receive)
        return self

    def __exit__(self, *exception):
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self._handler = None

    def _receive(self, *received):
        if self._running:
            self._pending = received
        else:
            self._handler(*received)

    def run(self, function, *arguments):
        """Call the function, whole."""
        self._running = True
        try:
            function(*arguments)
        finally:
            self._running = False
            if self._pending is not None:
                received, self._pending = self._pending, None
                self._handler(*received)
