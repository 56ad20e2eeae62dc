"""The wheel, installed beside a project whose modules have the names of our folders."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.support.postgres import Server
from tests.support.processes import PROJECT, environment
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.full

SETUP = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
# What the build reads.
SOURCES = (
    *("chatkeep", *SETUP["tool"]["setuptools"]["package-dir"].values()),
    *("pyproject.toml", "README.md", "LICENSE"),
)
THEIRS = ("domain", "adapters", "entrypoints", "tests")
IMPORTS = """
import importlib, sys
for name in ("domain", "adapters", "entrypoints", "tests"):
    assert importlib.import_module(name).WHOSE == "theirs", name
import chatkeep.domain.model
import chatkeep.entrypoints.bootstrap.service
print(chatkeep.domain.model.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, without a network and outside of the checkout."""
    sources, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("built")
    for name in SOURCES:
        if (PROJECT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / name, sources / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(PROJECT / name, sources)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(built), str(sources))
    [wheel] = built.iterdir()
    return wheel


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own; return the folder of its programs."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    [packages] = place.glob("lib/python*/site-packages")
    # The packages that chatkeep needs, though not the checkout, which is installed there by a .pth.
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip("--python", str(place / "bin" / "python"), "install", str(wheel))
    return place / "bin"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return another project's folder. Who imports its piccolo_conf fails."""
    project = tmp_path_factory.mktemp("project")
    for name in THEIRS:
        (project / name).mkdir()
        (project / name / "__init__.py").write_text('WHOSE = "theirs"\n', encoding="utf-8")
    (project / "piccolo_conf.py").write_text('raise ImportError("theirs")\n', encoding="utf-8")
    return project


def pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments, "--no-deps", "--no-index", "--quiet"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run(
    programs: Path, project: Path, *command: str, **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program inside the other project, whose modules come first."""
    return subprocess.run(
        [programs / command[0], *command[1:]],
        cwd=project,
        env=environment(PYTHONPATH=str(project), PICCOLO_CONF="piccolo_conf", **settings),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_only_chatkeep_is_at_the_top_of_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    top = {name.partition("/")[0] for name in names}
    assert top == {"chatkeep", f"chatkeep-{version('chatkeep')}.dist-info"}
    assert "chatkeep/domain/model/__init__.py" in names
    assert any(name.startswith("chatkeep/piccolo_migrations/chatkeep_") for name in names)


def test_each_finds_its_own_modules(programs: Path, project: Path) -> None:
    done = run(programs, project, "python", "-c", IMPORTS)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(programs.parent)


def test_the_command_line_works(programs: Path, project: Path) -> None:
    done = run(programs, project, "chatkeep", "--version")
    assert (done.stdout, done.stderr) == (f"chatkeep {version('chatkeep')}\n", "")
    done = run(programs, project, "chatkeep", "serve", "--help")
    assert done.returncode == 0
    assert "--memory" in done.stdout


async def test_it_migrates_whatever_piccolo_conf_the_project_has(
    programs: Path, project: Path, postgres_server: Server
) -> None:
    async with postgres_server.database(template="template0") as url:
        first = run(programs, project, "chatkeep", "migrate", DATABASE_URL=url)
        status = run(programs, project, "chatkeep", "migrate", "--status", DATABASE_URL=url)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("applied ")
    assert "pending: none" in status.stdout


def test_it_serves_from_memory(programs: Path, project: Path) -> None:
    with subprocess.Popen(
        [programs / "chatkeep", "serve", "--memory", "--port", "0"],
        cwd=project,
        env=environment(PYTHONPATH=str(project)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://[^,]+", process.stdout.readline())
            assert url
            assert httpx.get(f"{url[0]}/health/ready", timeout=PATIENCE).json() == {
                "status": "ready"
            }
        finally:
            os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0


def test_the_project_is_as_it_was(programs: Path, project: Path) -> None:
    files = {
        path.relative_to(project).as_posix()
        for path in project.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files == {"piccolo_conf.py", *(f"{name}/__init__.py" for name in THEIRS)}
