#!/usr/bin/env python3
"""Holds the running service to its own OpenAPI document, with made-up requests of every kind.

    .venv/bin/python .ci/check_schema.py [--max-examples N] [--seed N] [another option of its]

Needs schemathesis in `.venv-security`: `make schemathesis` sees to that.
"""

import subprocess
import sys
from pathlib import Path

from service import KEY, say, service

SCHEMATHESIS = Path(".venv-security/bin/schemathesis").absolute()
CONFIG = Path(__file__).absolute().with_name("schemathesis.toml")
EXAMPLES = "150"
# A run is to give the same verdict on the same code. Look further with other seeds.
SEED = "20261122"


def main() -> None:
    # Whoever makes up requests at will must not be told to come back later.
    unlimited = {"CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER": "0"}
    with service(**unlimited) as running:
        done = subprocess.run(  # noqa: S603 - a program of ours, with options of ours
            [
                *(SCHEMATHESIS, "--no-color", "--config-file", CONFIG, "run"),
                f"{running.url}/docs/openapi.json",
                *("--header", f"Authorization: Bearer {KEY}", "--header", "X-User-Id: alice"),
                *("--max-examples", EXAMPLES, "--seed", SEED, "--generation-database", "none"),
                *("--request-timeout", "30", "--output-truncate", "true", *sys.argv[1:]),
            ],
            cwd=running.log.parent,  # it leaves files where it runs
            capture_output=True,
            text=True,
            check=False,
        )
        faults = running.faults()
    # It shows whole requests to repeat, of a megabyte at times.
    for line in (*done.stdout.splitlines(), *done.stderr.splitlines()):
        say(f"{line:.300}")
    for line in faults:
        say(f"in the log: {line:.300}")
    sys.exit(done.returncode or bool(faults))


if __name__ == "__main__":
    main()
