"""Virtual environments with OpenAI's packages, which the project itself does without.

`current` has the packages of today, `first` an `openai` of the year in which the API came. They are
made once, below the project's own one, from requirements with hashes (`make lock`).
"""

import subprocess
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ENVIRONMENTS = Path(__file__).parents[3] / ".venv" / "openai"
SECONDS = 300


@cache
def python(name: str) -> Path:
    """Return the interpreter of an environment; skip the test when it cannot be made."""
    requirements = FOLDER / f"{name}.txt"
    digest = sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    environment = ENVIRONMENTS / f"{name}-{digest[:12]}"
    interpreter = environment / "bin" / "python"
    done = environment / "done"
    if not done.exists():
        install = ("-m", "pip", "install", "--quiet", "--require-hashes", "--requirement")
        try:
            _run(sys.executable, "-m", "venv", "--clear", environment)
            _run(interpreter, *install, requirements)
        except (subprocess.SubprocessError, OSError) as error:
            reason = getattr(error, "stderr", None) or str(error)
            pytest.skip(f"OpenAI's packages cannot be installed: {reason[-300:]}")
        done.touch()
    return interpreter


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, timeout=SECONDS, capture_output=True, encoding="utf-8")
