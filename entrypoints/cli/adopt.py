"""`chatkeep adopt`: copies conversations from other tables of the same database."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import click

from chatkeep.domain.model import Role, Status, UserId
from chatkeep.domain.operations.adoption.check import Check
from chatkeep.domain.operations.adoption.layout import (
    FIELDS,
    AdoptionError,
    Extra,
    Order,
    Side,
    Wanted,
)
from chatkeep.domain.operations.adoption.rules import Ids, Rules
from chatkeep.domain.operations.adoption.run import Adoption, Refusal, Sides
from chatkeep.domain.operations.adoption.tables import Layout, Survey
from chatkeep.entrypoints.bootstrap.operator import adoption_on
from chatkeep.entrypoints.cli.adoption_report import (
    MAPPINGS,
    REFUSALS_SHOWN,
    SIDES,
    AdoptionReport,
    Mapped,
    mapping,
)
from chatkeep.entrypoints.cli.options import on_database, progress, update_planner, user_id, warn
from chatkeep.entrypoints.settings import Settings
from chatkeep.entrypoints.visible import visible

T = TypeVar("T")

_LEFT: Final = "leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """The options of one run."""

    wanted: Wanted
    owner: UserId | None
    roles: Mapping[str, Role]
    statuses: Mapping[str, Status | None]
    stops: bool
    dry_run: bool
    mapping: Path | None
    as_json: bool


def _pairs(parse: Callable[[str, str], T]) -> Callable[..., list[T]]:
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


def _column(key: str, value: str) -> tuple[tuple[Side, str], str]:
    for side in SIDES:
        for name in FIELDS[side]:
            if key == f"{side}.{name}":
                return (side, name), value
    known = ", ".join(f"{side}.{name}" for side in SIDES for name in FIELDS[side])
    raise click.BadParameter(f"{key!r} is not one of {known}")


def _role(key: str, value: str) -> tuple[str, Role]:
    try:
        return key.strip().lower(), Role(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(Role)}") from None


def _status(key: str, value: str) -> tuple[str, Status | None]:
    try:
        return key.strip().lower(), None if value == _LEFT else Status(value)
    except ValueError:
        known = ", ".join([*Status, _LEFT])
        raise click.BadParameter(f"{value!r} is not one of {known}") from None


def _name(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    if given is not None and (not given or "\0" in given or not given.isprintable()):
        raise click.BadParameter("is not a name")
    return given


def _mapping(
    _context: click.Context, _parameter: click.Parameter, given: Path | None
) -> Path | None:
    if given is not None and given.suffix.lower() not in MAPPINGS:
        raise click.BadParameter(f"must end in one of {', '.join(MAPPINGS)}")
    if given is not None and not given.resolve().parent.is_dir():
        raise click.BadParameter(f"there is no directory {given.parent}")
    return given


@click.command()
@click.option(
    "--from-tables", is_flag=True, required=True, help="Adopt from tables of the same database."
)
@click.option("--schema", metavar="S", callback=_name, help="The schema of the old tables.")
@click.option("--conversations", metavar="NAME", callback=_name, help="The old conversations.")
@click.option("--messages", metavar="NAME", callback=_name, help="The old messages.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="TABLE.FIELD=NAME",
    callback=_pairs(_column),
    help="The column of a field, such as messages.content=body; without NAME: none. Repeatable.",
)
@click.option(
    "--extra",
    type=click.Choice([each.value for each in Extra]),
    help="Other columns, for which chatkeep has no field: keep them in the metadata, or drop them.",
)
@click.option(
    "--order",
    type=click.Choice([each.value for each in Order]),
    help="Order of messages: by time and then id, or by id alone.  [default: time]",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="OLD=ROLE",
    callback=_pairs(_role),
    help="The role that an old one becomes, such as helper=assistant. Repeatable.",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    metavar="OLD=STATUS",
    callback=_pairs(_status),
    help="The status that an old one becomes: active, archived, or leave, to adopt none of them. "
    "Repeatable.",
)
@click.option(
    "--user-id",
    "owner",
    metavar="ID",
    callback=user_id,
    help="The owner of conversations that do not name a user.",
)
@click.option(
    "--on-bad",
    type=click.Choice(["skip", "stop"]),
    default="skip",
    show_default=True,
    help="For a row that cannot be adopted: report it and continue, or stop.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; report what would be done.")
@click.option(
    "--mapping",
    "mapping_file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_mapping,
    help="Write the new id of each old id to this .csv or .jsonl file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def adopt(  # noqa: PLR0913, PLR0917 - one argument for each option
    from_tables: bool,  # noqa: ARG001, FBT001 - names the source; there is one kind so far
    schema: str | None,
    conversations: str | None,
    messages: str | None,
    columns: list[tuple[tuple[Side, str], str]],
    extra: str | None,
    order: str | None,
    roles: list[tuple[str, Role]],
    statuses: list[tuple[str, Status | None]],
    owner: UserId | None,
    on_bad: str,
    dry_run: bool,  # noqa: FBT001 - click's
    mapping_file: Path | None,
    as_json: bool,  # noqa: FBT001 - click's
) -> None:
    """Copy conversations from your own tables into chatkeep. The old tables stay as they are.

    It looks for old_conversations, conversation or chats, and old_messages, message or
    chat_messages, in the search path; with --schema also for conversations and messages there. It
    shows what it found before it does anything.

    Run it again to add what is new, after what is here already; it brings back nothing that was
    deleted here. You can interrupt it: a conversation is adopted completely or not at all. At the
    end it compares both sides, message by message.

    A row that cannot be adopted is reported with its id, and the others are adopted; then the exit
    status is 1, as it is when the two sides differ. Limits on lengths do not apply.
    """
    wanted = Wanted(
        schema=schema,
        conversations=conversations,
        messages=messages,
        columns=dict(columns),
        extra=None if extra is None else Extra(extra),
        order=None if order is None else Order(order),
        has_owner=owner is not None,
    )
    call = _Call(
        wanted=wanted,
        owner=owner,
        roles=dict(roles),
        statuses=dict(statuses),
        stops=on_bad == "stop",
        dry_run=dry_run,
        mapping=mapping_file,
        as_json=as_json,
    )
    report = on_database(partial(_adopt, call))
    if as_json:
        click.echo(json.dumps(report.document(), ensure_ascii=False))
    else:
        for line in report.done():
            click.echo(visible(line))
    if not report.is_good:
        sys.exit(1)


async def _adopt(call: _Call, settings: Settings) -> AdoptionReport:
    async with adoption_on(settings, call.wanted) as both:
        survey = await both.source.survey()
        rules = _rules(call, both.layout, survey)
        report = AdoptionReport(both.layout, survey, rules, call.dry_run)
        for line in report.found():
            click.echo(visible(line), err=call.as_json)
        _check_users(survey)
        with mapping(call.mapping) as mapped:
            await _run(call, both, report, mapped)
    if not call.dry_run:
        await update_planner(settings, report.tally.messages["new"])
    return report


async def _run(call: _Call, both: Sides, report: AdoptionReport, mapped: Mapped) -> None:
    def refused(refusal: Refusal) -> None:
        if call.stops:
            raise AdoptionError(f"Stopped at {refusal}. What was adopted before it stays.")
        warn(f"refused: {refusal}")
        if len(report.refusals) < REFUSALS_SHOWN:
            report.refusals.append(refusal)

    survey = report.survey
    rows = survey.conversations + survey.messages - survey.orphan_count
    with progress("reading" if call.dry_run else "adopting", rows) as advance:
        adoption = Adoption(
            both.source,
            both.target,
            report.rules,
            both.now,
            on_refusal=refused,
            on_adopted=mapped,
            advance=advance,
            tally=report.tally,
        )
        await (adoption.preview() if call.dry_run else adoption.adopt())
    if not call.dry_run:
        with progress("comparing", rows) as advance:
            check = Check(both.source, both.target, report.rules, both.now, advance)
            report.comparison = await check.compare()


def _rules(call: _Call, layout: Layout, survey: Survey) -> Rules:
    """Return the rules. Raises `AdoptionError` for a status without a rule."""
    old, said = layout.conversations, layout.messages
    rules = Rules(
        conversations=Ids(old.name, old.kind("id")),
        messages=Ids(said.name, said.kind("id")),
        owner=call.owner,
        roles=call.roles,
        statuses=call.statuses,
    )
    unknown = [each for each in survey.statuses if each is not None and not rules.knows(each)]
    if unknown:
        options = " ".join(f"--status {each}=..." for each in unknown)
        raise AdoptionError(
            f"{old.name}: unknown status {', '.join(map(repr, unknown))}. "
            f"Map it to active, archived or leave (to adopt none of them): {options}"
        )
    return rules


def _check_users(survey: Survey) -> None:
    """Raise `AdoptionError` if owners must be added to a users table that needs more than an id."""
    if survey.owner_count and survey.users_need:
        raise AdoptionError(
            f"{survey.owner_count} owners are not in the table users "
            f"({', '.join(survey.owners[:10])}), and a row there needs more than an id: "
            f"{', '.join(survey.users_need)}. Let the application that owns the table add them "
            "first; nothing was adopted."
        )
