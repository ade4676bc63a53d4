"""What a benchmark's numbers were measured on, and how much memory this process takes."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """The processor's name and the number of cores."""
    names = [platform.machine()]
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {"processor": names[0], "cores": os.cpu_count()}


def versions(*packages: str) -> dict[str, str]:
    """Python's version, and those of the installed packages."""
    installed = {package: importlib.metadata.version(package) for package in packages}
    return {"python": platform.python_version(), **installed}


def memory_kb(field: str) -> int:
    """Resident memory of this process, now (VmRSS) or at its highest (VmHWM).

    Not getrusage's: that begins with what the parent held when it started this process.
    """
    status = Path("/proc/self/status").read_text()
    return int(dict(line.split(":", 1) for line in status.splitlines())[field].split()[0])
