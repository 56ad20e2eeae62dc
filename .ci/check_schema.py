#!/usr/bin/env python3
"""Tests a running service against its OpenAPI document with generated requests of every kind.

    .venv/bin/python .ci/check_schema.py [--max-examples N] [--seed N] [other schemathesis options]

Needs schemathesis in `.venv-security`, which `make schemathesis` installs.
"""

import subprocess
import sys
from pathlib import Path

from service import KEY, say, service

SCHEMATHESIS = Path(".venv-security/bin/schemathesis").absolute()
CONFIG = Path(__file__).absolute().with_name("schemathesis.toml")
EXAMPLES = "150"
# A fixed seed: the same code always gets the same verdict. Try other seeds to look further.
SEED = "20261122"


def main() -> None:
    # The generated requests must not be refused with "try again later".
    unlimited = {"CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER": "0"}
    with service(**unlimited) as running:
        done = subprocess.run(  # noqa: S603 - a fixed program
            [
                *(SCHEMATHESIS, "--no-color", "--config-file", CONFIG, "run"),
                f"{running.url}/docs/openapi.json",
                *("--header", f"Authorization: Bearer {KEY}", "--header", "X-User-Id: alice"),
                *("--max-examples", EXAMPLES, "--seed", SEED, "--generation-database", "none"),
                *("--request-timeout", "30", "--output-truncate", "true", *sys.argv[1:]),
            ],
            cwd=running.log.parent,  # schemathesis writes files into its working directory
            capture_output=True,
            text=True,
            check=False,
        )
        faults = running.faults()
    # The output quotes whole requests, some of a megabyte.
    for line in (*done.stdout.splitlines(), *done.stderr.splitlines()):
        say(f"{line:.300}")
    for line in faults:
        say(f"in the log: {line:.300}")
    sys.exit(done.returncode or bool(faults))


if __name__ == "__main__":
    main()
