"""What a worker holds itself to: its memory, and an end even where nobody is left to end it."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

_SIZES = Path("/proc/self/statm")  # Linux has it: pages of address space, pages in memory
_LOOK = 0.05  # seconds between two looks at what is used
_PATIENCE = 2.0  # seconds past the limit in which whoever asked should have ended this process


class Guard:
    """Ends this process when the work under way uses too much, or outlives the one who asked for it."""

    def __init__(self) -> None:
        self._working = threading.Event()
        self._deadline = 0.0
        self._most = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def begin(self, seconds: float, memory: int) -> None:
        """Watch the work that begins now."""
        self._deadline = time.monotonic() + seconds + _PATIENCE
        self._most = memory_in_use() + memory
        limit_memory(memory)
        self._working.set()

    def end(self) -> None:
        """Watch no longer."""
        self._working.clear()

    def _watch(self) -> None:
        while True:
            self._working.wait()
            time.sleep(_LOOK)
            if self._working.is_set() and (time.monotonic() > self._deadline or memory_in_use() > self._most):
                os.kill(os.getpid(), signal.SIGTERM)


def limit_memory(memory: int) -> None:
    """Let an allocation fail that goes beyond what is used now and so many bytes, where the system can."""
    if _SIZES.exists():
        import resource

        size = int(_SIZES.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + memory + (64 << 20), resource.RLIM_INFINITY))


def memory_in_use() -> int:
    """Return bytes of memory this process has; on macOS the most it ever had."""
    if os.name == "nt":
        return _windows_memory()
    if _SIZES.exists():
        return int(_SIZES.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
    if os.name == "posix":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0


def _windows_memory() -> int:
    import ctypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("size", ctypes.c_uint32),
            ("page_faults", ctypes.c_uint32),
            *[(name, ctypes.c_size_t) for name in ("peak_set", "set", "peak_paged", "paged")],
            *[(name, ctypes.c_size_t) for name in ("peak_unpaged", "unpaged", "committed", "peak")],
        )

    counters = Counters(size=ctypes.sizeof(Counters))
    kernel = ctypes.__dict__["WinDLL"]("kernel32")  # there on Windows only
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.K32GetProcessMemoryInfo.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32]
    kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size)
    return int(counters.committed)
