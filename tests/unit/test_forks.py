"""A command that is forked does what it does when it is executed."""

import signal
import subprocess

import pytest

from tests.support.forks import Fork
from tests.support.processes import CHATKEEP, PROJECT, SECRET, chatkeep, environment


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["--version"], ""),
        (["nonsense"], ""),
        (["token"], ""),
        (["import", "-"], "\u00fc" * 100_000),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_it_prints_and_ends_alike(arguments: list[str], stdin: str) -> None:
    executed = subprocess.run(
        [CHATKEEP, *arguments],
        cwd=PROJECT,
        env=environment(),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    forked = chatkeep(*arguments, stdin=stdin)

    assert (forked.returncode, forked.stdout, forked.stderr) == (
        executed.returncode,
        executed.stdout,
        executed.stderr,
    )


def test_it_has_its_settings_and_none_of_another() -> None:
    wrong = chatkeep("token", "--user", "me", CHATKEEP_JWT_SECRET=SECRET, CHATKEEP_PORT="none")
    right = chatkeep("token", "--user", "me", CHATKEEP_JWT_SECRET=SECRET)

    assert (wrong.returncode, right.returncode) == (1, 0)
    assert "CHATKEEP_PORT" in wrong.stderr


def test_it_is_a_process_that_can_be_killed() -> None:
    with Fork([CHATKEEP, "import", "-"], environment()) as process:
        assert process.poll() is None
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
