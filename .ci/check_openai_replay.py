#!/usr/bin/env python3
"""Sends a file of real conversations to a new service with OpenAI's own package.

    .venv/bin/python .ci/check_openai_replay.py FILE [SPECIFICATION]

SPECIFICATION is OpenAI's OpenAPI document, or its part about conversations.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from check_real_input import USER, chatkeep, home, say, service

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.openai.environments import python

SECONDS = 300


def main() -> int:
    files = [Path(each).resolve() for each in sys.argv[1:]]
    if not 1 <= len(files) <= 2:  # noqa: PLR2004 - the file and the specification
        say("usage: check_openai_replay.py FILE [SPECIFICATION]")
        return 2
    try:
        interpreter = python("current")
    except pytest.skip.Exception as reason:
        say(f"skipped: {reason}")
        return 0
    with home() as environment, service(environment) as url:
        token = chatkeep(environment, "token", "--user", USER).strip()
        replay = Path(__file__).with_name("openai_replay.py")
        command = [interpreter, replay, url, token, *files]
        done = subprocess.run(command, timeout=SECONDS, check=False)  # noqa: S603 - our own program
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
