#!/usr/bin/env python3
"""Installs every lock file where each package has a newer release, and expects the locked ones.

    .venv/bin/python .ci/check_locks.py

The packages are built here: empty, with the names and versions of the lock files, and each also in
a newer version. Each requires another package of the lock in any version and with an extra, and one
that no lock file has. So an installer that resolves a lock file again, in place of installing it,
finds packages that are not in the lock. No index is used. The options are those of the Makefile.
For each installer the check first shows that it fails without `--no-deps`.
"""

import base64
import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from service import say

PROJECT = Path(__file__).parents[1]
NEWER = "9999.0"
UNLOCKED = "in-no-lock-file"
# As uv writes it: a name, a version, an optional marker, and hashes on separate lines.
LOCKED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)( ; [^\\\n]+)? \\$", re.MULTILINE)


@dataclass
class Installer:
    """A program that installs into the virtual environment `place`. `name` is for the output."""

    name: str
    place: Path
    command: tuple[str | Path, ...]

    def install(self, packages: Path, options: list[str], lock: Path) -> str:
        """Install a lock file. Return the error, or "" if there is none."""
        done = subprocess.run(  # noqa: S603 - fixed installers with fixed options
            [*self.command, *options, "--no-index", "--find-links", packages, "-r", lock],
            env={
                "PATH": "/usr/bin:/bin",
                "PIP_CONFIG_FILE": "/dev/null",
                "UV_NO_CONFIG": "1",
                "VIRTUAL_ENV": str(self.place),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr if done.returncode else ""

    def list_installed(self) -> dict[str, str]:
        """Return the versions of the installed packages by name."""
        pattern = re.compile(r"(.+?)-([^-]+)\.dist-info")
        found = (pattern.fullmatch(path.name) for path in self.place.glob("lib/*/site-packages/*"))
        return {canonicalize_name(each[1]): each[2] for each in found if each}


def main() -> None:
    tracked = (path for path in _list_tracked("*.txt") if path.parent != Path(__file__).parent)
    locks = sorted(path for path in tracked if "--hash=" in path.read_text())
    options = _read_options()
    resolving = [option for option in options if option != "--no-deps"]
    with tempfile.TemporaryDirectory(prefix="chatkeep-locks-") as folder:
        scratch = Path(folder)
        installers = _prepare_installers(scratch)
        for lock in locks:
            name = lock.relative_to(PROJECT).as_posix()
            packages = scratch / name.replace("/", "-")
            copy, expected = _build_stand_ins(lock, packages)
            for installer in installers:
                if lock == locks[0]:
                    _expect_failure(installer, packages, resolving, copy)
                with _create_environment(installer.place):
                    wrong = installer.install(packages, options, copy)
                    found = installer.list_installed()
                if wrong or found != expected:
                    sys.exit(
                        f"{name}, {installer.name}: {wrong or found.items() ^ expected.items()}"
                    )
                say(f"{name}, {installer.name}: {len(found)} packages, as locked")


def _expect_failure(installer: Installer, packages: Path, resolving: list[str], lock: Path) -> None:
    with _create_environment(installer.place):
        if not installer.install(packages, resolving, lock):
            sys.exit(f"{installer.name} installs a lock file without --no-deps: no test possible")


def _list_tracked(pattern: str) -> Iterator[Path]:
    done = subprocess.run(  # noqa: S603 - git, on this repository
        ["git", "ls-files", "-z", pattern],  # noqa: S607 - from the PATH, as everywhere
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return (PROJECT / name for name in done.stdout.split("\0") if name)


def _read_options() -> list[str]:
    """Return the Makefile's options for installing lock files, after `pip install`."""
    found = re.search(
        r"^INSTALL := install (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE
    )
    if found is None:
        sys.exit("the Makefile has no INSTALL")
    return shlex.split(found[1])


def _build_stand_ins(lock: Path, packages: Path) -> tuple[Path, dict[str, str]]:
    """Build empty packages for a lock file. Return a lock file of these, and their versions."""
    packages.mkdir()
    locked = [match.groups(default="") for match in LOCKED.finditer(lock.read_text())]
    # pip considers itself installed already, in any version.
    locked = [each for each in locked if each[0] != "pip"]
    here = [each for each in locked if not each[2] or Marker(each[2].strip(" ;")).evaluate()]
    _build_wheel(packages, UNLOCKED, NEWER, UNLOCKED)
    lines = []
    for number, (name, version, marker) in enumerate(here):
        needed = here[(number + 1) % len(here)][0]
        digest = _build_wheel(packages, name, version, needed)
        _build_wheel(packages, name, NEWER, needed)
        lines.append(f"{name}=={version}{marker} --hash=sha256:{digest}\n")
    copy = packages / "lock.txt"
    copy.write_text("".join(lines))
    return copy, {canonicalize_name(name): version for name, version, _ in here}


def _build_wheel(folder: Path, name: str, version: str, needed: str) -> str:
    """Build an empty package that requires the package `needed`. Return its SHA-256."""
    stem = f"{name.replace('-', '_').replace('.', '_')}-{version}"
    files = {
        f"{stem}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            f"Provides-Extra: more\nRequires-Dist: {needed}[more]\nRequires-Dist: {UNLOCKED}\n"
            f"Requires-Dist: {needed}>={version if version == NEWER else 0} ; extra == 'more'\n"
        ),
        f"{stem}.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: chatkeep\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = f"{stem}.dist-info/RECORD"
    rows = [f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items()]
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for each, text in (files | {record: "".join(rows) + f"{record},,\n"}).items():
            wheel.writestr(each, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _prepare_installers(scratch: Path) -> list[Installer]:
    """Return the oldest pip, the pip of this Python, a new pip, and uv."""
    place = scratch / "environment"
    own = scratch / "own"
    _run(sys.executable, "-m", "venv", own)
    [packages] = own.glob("lib/*/site-packages")
    new = _fetch("installers", scratch)
    pips = {"the pip of this Python": packages, "a new pip": new}
    if sys.version_info < (3, 12):  # it does not run on later ones
        pips["the oldest pip"] = _fetch("oldest-pip", scratch)
    return [
        *(Installer(name, place, _run_pip(place, folder)) for name, folder in pips.items()),
        Installer("uv", place, (new / "bin" / "uv", "pip", "install")),
    ]


def _fetch(name: str, scratch: Path) -> Path:
    """Install one of the lock files of this folder into a new folder, and return it."""
    folder = scratch / name
    lock = PROJECT / ".ci" / f"{name}.txt"
    _run(sys.executable, "-m", "pip", "install", *_read_options(), "--target", folder, "-r", lock)
    return folder


def _run_pip(place: Path, folder: Path) -> tuple[str | Path, ...]:
    """Return a command that runs a folder's pip in an environment without pip."""
    code = f"import runpy, sys; sys.path.insert(0, {str(folder)!r}); sys.argv[0] = 'pip'; "
    run = "runpy.run_module('pip', run_name='__main__')"
    return (place / "bin" / "python", "-c", code + run, "install")


@contextmanager
def _create_environment(place: Path) -> Iterator[None]:
    """Create a virtual environment, and remove it after the block."""
    _run(sys.executable, "-m", "venv", "--without-pip", place)
    try:
        yield
    finally:
        shutil.rmtree(place)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - Python itself


if __name__ == "__main__":
    main()
