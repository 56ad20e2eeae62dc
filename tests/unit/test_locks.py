"""Lock files are complete, and whatever installs one takes it as it is."""

import json
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
OPTIONS = ("--no-deps", "--require-hashes", "--only-binary")
# A requirement as uv writes it: a pinned version, perhaps a marker, then hashes.
LOCKED = re.compile(r"[a-z0-9][a-z0-9._-]*==[^\s;]+( ; [^\\]+)?( --hash=sha256:[0-9a-f]{64})+")
INSTALLS = re.compile(r"\binstall\b.*(?: -r |--requirement\b)")


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no git checkout, so its files cannot be told from others")
    names = (name for name in listed.stdout.split("\0") if name)
    return [PROJECT / name for name in names if (PROJECT / name).is_file()]


def test_every_lock_file_pins_all_by_hash_and_names_no_address() -> None:
    locks = [path for path in tracked() if path.suffix == ".txt" and "--hash=" in path.read_text()]
    assert {path.name for path in locks} >= {"requirements.txt", "requirements-dev.txt"}
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text, lock
        for line in text.replace(" \\\n   ", "").splitlines():
            assert line.startswith("#") or LOCKED.fullmatch(line), f"{lock}: {line[:80]}"


def test_every_javascript_package_has_a_lock_file_with_hashes_and_no_address() -> None:
    packages = [path for path in tracked() if path.name == "package.json"]
    assert len(packages) > 1
    for package in packages:
        locked = json.loads((package.parent / "package-lock.json").read_text())["packages"]
        for name, each in locked.items():
            assert not each.get("resolved", "").startswith("http"), (package, name)
            is_ours = (
                not name.startswith("node_modules/") or each.get("link") or each.get("inBundle")
            )
            assert is_ours or each["integrity"].startswith("sha512-"), (package, name)


def test_whatever_installs_a_lock_file_does_not_resolve_it_again() -> None:
    """A pip that does stops, or takes another version, when something has a newer release."""
    found: dict[str, Path] = {}
    for path in tracked():
        if path.suffix in {".txt", ".svg", ".png"} or path == Path(__file__):
            continue
        lines = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8")).splitlines()
        found |= {f"{path.name}: {line.strip()}": path for line in lines if INSTALLS.search(line)}
    assert {path.name for path in found.values()} >= {"Dockerfile", "deploy.md", "environments.py"}
    for line in found:
        assert [option for option in OPTIONS if option not in line] == [], line


def test_the_makefile_installs_lock_files_in_one_way() -> None:
    text = (PROJECT / "Makefile").read_text()
    [options] = re.findall(r"^INSTALL := install (.*)$", text, re.MULTILINE)
    assert [option for option in OPTIONS if option not in options] == []
    installed = re.findall(r"pip (\S+) .*-r \S+", text)
    assert installed
    assert set(installed) == {"$(INSTALL)"}
