"""Virtual environments with OpenAI's packages, which the project itself does without.

`current` has the packages of today, `first` an `openai` of the year in which the API came. They are
made once, below the project's own one, from requirements with hashes (`make lock`).
"""

import shutil
import subprocess
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

from chatkeep.adapters.embedded.file_locks import lock
from tests.support.service_process import FULL

FOLDER = Path(__file__).parent
ENVIRONMENTS = Path(__file__).parents[3] / ".venv" / "openai"
SECONDS = 300


@cache
def python(name: str) -> Path:
    """Return the interpreter of an environment; skip the test when it cannot be made."""
    requirements = FOLDER / f"{name}.txt"
    environment = _folder(name, requirements.read_bytes() + sys.version.encode())
    interpreter = environment / "bin" / "python"
    install = "-m pip install -q --no-deps --require-hashes --only-binary :all: --requirement"
    _once(
        environment,
        (sys.executable, "-m", "venv", "--clear", environment),
        (interpreter, *install.split(), requirements),
    )
    return interpreter


@cache
def node_folder() -> Path:
    """Return a folder with the npm package; skip the test when there is no Node or it fails."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no Node here")
    files = [FOLDER / name for name in ("package.json", "package-lock.json")]
    folder = _folder("npm", b"".join(file.read_bytes() for file in files))
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)
    _once(folder, (npm, "ci", "--prefix", folder, "--omit=peer", "--no-audit", "--no-fund"))
    return folder


def _folder(name: str, contents: bytes) -> Path:
    return ENVIRONMENTS / f"{name}-{sha256(contents).hexdigest()[:12]}"


def _once(folder: Path, *commands: tuple[str | Path, ...]) -> None:
    """Run the commands that fill a folder, unless they did before."""
    done = folder / "done"
    if not done.exists() and not FULL:
        pytest.skip("only with CHATKEEP_TEST_FULL=1: installs OpenAI's packages")
    ENVIRONMENTS.mkdir(exist_ok=True)
    with lock(folder.with_suffix(".lock")):  # tests in other processes wait for it
        if done.exists():
            return
        try:
            for command in commands:
                subprocess.run(
                    command, check=True, timeout=SECONDS, capture_output=True, encoding="utf-8"
                )
        except (subprocess.SubprocessError, OSError) as error:
            reason = getattr(error, "stderr", None) or str(error)
            pytest.skip(f"OpenAI's packages cannot be installed: {reason[-300:]}")
        done.touch()
