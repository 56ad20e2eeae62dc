"""Reads the options of `chatkeep adopt`. What does not fit is a usage error."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import click

from chatkeep.domain.model import Role, Status
from chatkeep.domain.operations.adoption.layout import FIELDS, Entity
from chatkeep.entrypoints.cli.adoption_report import ENTITIES, MAPPINGS

T = TypeVar("T")

LEAVE: Final = "leave"


def pairs(parse: Callable[[str, str], T]) -> Callable[..., list[T]]:
    """Return the callback for a repeatable option KEY=VALUE."""

    def callback(
        _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
    ) -> list[T]:
        parsed = []
        for each in given:
            key, equals, value = each.partition("=")
            if not equals or not key:
                raise click.BadParameter(f"{each!r} is not of the form KEY=VALUE")
            parsed.append(parse(key, value))
        return parsed

    return callback


def parse_column(key: str, value: str) -> tuple[tuple[Entity, str], str]:
    for entity in ENTITIES:
        for field in FIELDS[entity]:
            if key == f"{entity}.{field}":
                return (entity, field), value
    known = ", ".join(f"{entity}.{field}" for entity in ENTITIES for field in FIELDS[entity])
    raise click.BadParameter(f"{key!r} is not one of {known}")


def parse_role(key: str, value: str) -> tuple[str, Role]:
    try:
        return key.strip().lower(), Role(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(Role)}") from None


def parse_status(key: str, value: str) -> tuple[str, Status | None]:
    try:
        return key.strip().lower(), None if value == LEAVE else Status(value)
    except ValueError:
        known = ", ".join([*Status, LEAVE])
        raise click.BadParameter(f"{value!r} is not one of {known}") from None


def check_name(
    _context: click.Context, _parameter: click.Parameter, given: str | None
) -> str | None:
    if given is not None and (not given or "\0" in given or not given.isprintable()):
        raise click.BadParameter("is not a name")
    return given


def check_mapping_file(
    _context: click.Context, _parameter: click.Parameter, given: Path | None
) -> Path | None:
    if given is not None and given.suffix.lower() not in MAPPINGS:
        raise click.BadParameter(f"must end in one of {', '.join(MAPPINGS)}")
    if given is not None and not given.resolve().parent.is_dir():
        raise click.BadParameter(f"the directory {given.parent} does not exist")
    return given
