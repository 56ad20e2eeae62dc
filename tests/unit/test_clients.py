"""What holds for the clients without a service; `make test-clients` runs their own tests."""

import subprocess
import sys
from pathlib import Path

PYTHON_CLIENT = Path(__file__).parents[2] / "clients" / "python"


def test_the_synchronous_client_is_made_from_the_asynchronous_one() -> None:
    script = PYTHON_CLIENT / "sync_from_async.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_clients_are_not_in_the_package_of_the_service() -> None:
    source = (PYTHON_CLIENT.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert "chatkeep_client" not in source
