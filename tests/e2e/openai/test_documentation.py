"""docs/openai.md and the README show code; it runs here unchanged, against a service."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.openai.conftest import checked
from tests.e2e.openai.environments import FOLDER, node_folder, python
from tests.support.processes import PROJECT
from tests.support.waiting import PATIENCE

PAGE = (PROJECT / "docs" / "openai.md").read_text()
README = (PROJECT / "README.md").read_text()
# The agent's model is the only thing that is not the page's own.
MODEL = """
from agents.models.multi_provider import MultiProvider
from agents_checks import Scripted
model = Scripted()
MultiProvider.get_model = lambda *_: model
"""


def examples(language: str, url: str, page: str = PAGE) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert found
    return [each.replace("http://127.0.0.1:8000", url) for each in found]


def output(*command: str | Path, folder: Path, url: str) -> str:
    environment = checked(url, "documentation")
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, "TOKEN": environment["CHECKED_ALICE"]},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_the_example_for_the_python_package_runs(url: str) -> None:
    code, _, with_keys = examples("python", url)
    code = code.replace("\n\nchat", f"\n{with_keys}\nchat")

    for packages in ("first", "current"):
        said = output(python(packages), "-c", code, folder=FOLDER, url=url)
        assert said == "user Is there soup?\nassistant There is.\n"


@pytest.mark.timeout(600)
def test_the_example_for_the_agents_sdk_runs(url: str) -> None:
    _, code, _ = examples("python", url)

    said = output(python("current"), "-c", MODEL + code, folder=FOLDER, url=url)

    assert re.fullmatch(r"conv_[0-9a-f]{32} \d+\n", said)


@pytest.mark.timeout(600)
def test_the_example_for_the_npm_package_runs(url: str) -> None:
    code, with_keys = examples("js", url)
    code = code.replace("\n\nconst chat", f"\n{with_keys}\nconst chat")

    command = ("node", "--input-type=module", "--eval", code)
    assert output(*command, folder=node_folder(), url=url) == "Soup?\n"


@pytest.mark.timeout(600)
def test_the_examples_of_the_readme_run(url: str) -> None:
    [in_python] = examples("python", url, README)
    in_typescript, _ = examples("ts", url, README)

    said = output(python("current"), "-c", in_python, folder=FOLDER, url=url)
    assert said == "user Is there soup?\n"

    command = ("node", "--input-type=module", "--eval", in_typescript)
    assert output(*command, folder=node_folder(), url=url) == said


PAGE = """
const id = "a chat/1", token = process.env.TOKEN, useChat = ({ messages }) => ({ messages });
const message = { id: "m-1", role: "user", parts: [{ type: "text", text: "Is there soup?" }] };
"""
AGAIN = """
const again = await fetch(`${chat}/messages?format=ai-sdk`, { headers });
console.log(messages.length, (await again.text()).includes(JSON.stringify(message)));
"""


@pytest.mark.timeout(600)
def test_the_example_for_the_ai_sdk_keeps_the_messages_of_a_page(url: str) -> None:
    _, code = examples("ts", url, README)

    command = ("node", "--input-type=module", "--eval", PAGE + code + AGAIN)
    assert output(*command, folder=node_folder(), url=url) == "0 true\n"
