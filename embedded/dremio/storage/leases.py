"""Who still reads what: files are deleted only when their last reader has ended."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable


class Leases:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: Counter[str] = Counter()
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def acquire(self, versions: Iterable[str]) -> None:
        with self._lock:
            self._readers.update(versions)

    def release(self, versions: Iterable[str]) -> None:
        actions: list[Callable[[], None]] = []
        with self._lock:
            for version in versions:
                self._readers[version] -= 1
                if self._readers[version] <= 0:
                    del self._readers[version]
                    actions += self._waiting.pop(version, [])
        for action in actions:
            action()

    def when_free(self, version: str, action: Callable[[], None]) -> None:
        """Runs `action` now, or when the last reader of `version` releases it."""
        with self._lock:
            if self._readers[version] > 0:
                self._waiting.setdefault(version, []).append(action)
                return
        action()
