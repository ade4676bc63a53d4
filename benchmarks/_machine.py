"""What a benchmark's numbers were measured on."""

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
