"""Describes the machine of a measurement."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.load import generator_name
from benchmarks.postgres import Server
from benchmarks.scale import Scale

_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


def describe_machine(server: Server, scale: Scale) -> dict[str, str]:
    settings = ", ".join(f"{name} {server.setting(name)}" for name in _SETTINGS)
    packages = ("uvicorn", "uvloop", "httptools", "asyncpg", "litestar", "fastapi", "sqlmodel")
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Postgres": f"{server.setting('server_version')}, {settings}; over a Unix socket",
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
        "load generator": generator_name(scale.seconds),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
