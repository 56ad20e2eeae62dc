"""The README's tour, run as it stands, by the shell that a reader has."""

import json
import re
import shutil
import subprocess

import pytest

from tests.support.processes import CHATKEEP, PROJECT, SECRET, environment
from tests.support.service_process import running
from tests.support.waiting import PATIENCE

README = (PROJECT / "README.md").read_text(encoding="utf-8")
TOUR = README.partition("## A tour")[2].partition("```sh\n")[2].partition("```")[0]
CALL = re.compile(r"^call .*$", re.MULTILINE)


@pytest.mark.postgres
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
async def test_the_tour_works(database_url: str) -> None:
    settings = {"DATABASE_URL": database_url, "CHATKEEP_JWT_SECRET": SECRET}
    async with running(**settings) as service:
        script = TOUR.replace(".venv/bin/chatkeep", str(CHATKEEP))
        script = script.replace("http://127.0.0.1:8000", service.url)

        done = subprocess.run(  # noqa: ASYNC221 - the service is another process
            ["bash", "-euc", script],
            cwd=PROJECT,
            env=environment(**settings),
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    # Deletions answer nothing; everything else is one line.
    calls = [call for call in CALL.findall(TOUR) if "DELETE" not in call]
    assert len(answers) == len(calls)
    assert not [each for each in answers if "problem" in each.get("type", "")]
    conversation, asked, answered, context = answers[:4]
    assert conversation["title"] == "Lunch"
    assert [each["content"] for each in asked["context"]["messages"]] == ["What is there to eat?"]
    assert len(answered["messages"]) == 3
    roles = [each["role"] for each in context["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant"]
