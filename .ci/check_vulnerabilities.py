#!/usr/bin/env python3
"""Looks up known vulnerabilities of every package in a lock file; skips if no server answers.

    .venv/bin/python .ci/check_vulnerabilities.py LOCK_FILE

Needs pip-audit in `.venv-security`, which `make audit` installs.
"""

import json
import subprocess
import sys
from pathlib import Path

from service import say

PIP_AUDIT = Path(".venv-security/bin/pip-audit")


def main(lock_file: str) -> None:
    done = subprocess.run(  # noqa: S603 - a fixed program
        [
            *(PIP_AUDIT, "--requirement", lock_file, "--require-hashes", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off", "--timeout", "15"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, LookupError):
        say(f"SKIPPED, not audited: {done.stderr.strip().splitlines()[-1:]}")
        return
    audited = [each for each in found if "skip_reason" not in each]
    vulnerable = [each for each in audited if each["vulns"]]
    if not audited:
        say(f"SKIPPED, not audited: no server knows any of the {len(found)} packages")
        return
    for each in vulnerable:
        ids = ", ".join(vulnerability["id"] for vulnerability in each["vulns"])
        say(f"{each['name']} {each['version']}: {ids}")
    say(f"{len(audited)} of {len(found)} packages audited, {len(vulnerable)} vulnerable")
    sys.exit(bool(vulnerable))


if __name__ == "__main__":
    main(*sys.argv[1:])
