"""`chatkeep adopt`: conversations from legacy tables in the same database."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from chatkeep.domain.model import Role, Status, UserId
from chatkeep.domain.operations.adoption.check import AdoptionCheck
from chatkeep.domain.operations.adoption.layout import (
    AdoptionError,
    AdoptionOptions,
    Entity,
    ExtraColumns,
    MessageOrder,
)
from chatkeep.domain.operations.adoption.ports import AdoptionSession
from chatkeep.domain.operations.adoption.rules import AdoptionRules, IdMapping
from chatkeep.domain.operations.adoption.run import Adoption, Refusal
from chatkeep.domain.operations.adoption.tables import Layout, Survey
from chatkeep.entrypoints.bootstrap.operator import adoption_on
from chatkeep.entrypoints.cli import adopt_options
from chatkeep.entrypoints.cli.adoption_report import (
    REFUSALS_SHOWN,
    AdoptionReport,
    WriteMapping,
    open_mapping,
)
from chatkeep.entrypoints.cli.options import on_database, progress, update_planner, user_id, warn
from chatkeep.entrypoints.settings import Settings
from chatkeep.entrypoints.visible import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """The options of the command."""

    options: AdoptionOptions
    owner: UserId | None
    roles: Mapping[str, Role]
    statuses: Mapping[str, Status | None]
    stops: bool
    dry_run: bool
    mapping: Path | None
    as_json: bool


@click.command()
@click.option(
    "--from-tables", is_flag=True, required=True, help="Adopt from tables of the same database."
)
@click.option(
    "--schema",
    metavar="S",
    callback=adopt_options.check_name,
    help="The schema of the legacy tables.",
)
@click.option(
    "--conversations",
    metavar="NAME",
    callback=adopt_options.check_name,
    help="The table of legacy conversations.",
)
@click.option(
    "--messages",
    metavar="NAME",
    callback=adopt_options.check_name,
    help="The table of legacy messages.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="TABLE.FIELD=NAME",
    callback=adopt_options.pairs(adopt_options.parse_column),
    help="The column of a field, such as messages.content=body; no NAME: none. Repeatable.",
)
@click.option(
    "--extra",
    type=click.Choice([each.value for each in ExtraColumns]),
    help="Columns that chatkeep has no field for: keep them in the metadata, or leave them behind.",
)
@click.option(
    "--order",
    type=click.Choice([each.value for each in MessageOrder]),
    help="Order of messages: by time and then id, or by id only.  [default: time]",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="LEGACY=ROLE",
    callback=adopt_options.pairs(adopt_options.parse_role),
    help="What a legacy role means, such as helper=assistant. Repeatable.",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    metavar="LEGACY=STATUS",
    callback=adopt_options.pairs(adopt_options.parse_status),
    help="What a legacy status means: active, archived, or leave. Repeatable.",
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
    help="When a row is refused: report it and continue, or stop.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; report what would be done.")
@click.option(
    "--mapping",
    "mapping_file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=adopt_options.check_mapping_file,
    help="Write the legacy and the new id of every adopted row to this .csv or .jsonl file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def adopt(  # noqa: PLR0913, PLR0917 - one argument for each option
    from_tables: bool,  # noqa: ARG001, FBT001 - required, so that another source can be added
    schema: str | None,
    conversations: str | None,
    messages: str | None,
    columns: list[tuple[tuple[Entity, str], str]],
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
    """Copy conversations from legacy tables into chatkeep. The legacy tables are not changed.

    It looks for a table old_conversations, conversation or chats, and for old_messages, message or
    chat_messages, in the search path; with --schema in that schema, and also for conversations and
    messages. It reports what it found before it changes anything.

    Another run adds new rows after those that chatkeep already has, and does not restore what was
    deleted since. You can interrupt it: each conversation is adopted completely or not at all. At
    the end it compares legacy tables and chatkeep, message by message.

    A row that is refused is reported with its id, and the others are adopted. In that case, or if
    the comparison finds a difference, the exit status is 1. Limits on lengths do not apply.
    """
    options = AdoptionOptions(
        schema=schema,
        conversations=conversations,
        messages=messages,
        columns=dict(columns),
        extra=None if extra is None else ExtraColumns(extra),
        order=None if order is None else MessageOrder(order),
        has_owner=owner is not None,
    )
    call = _Call(
        options=options,
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
        for line in report.describe_result():
            click.echo(visible(line))
    if not report.is_good:
        sys.exit(1)


async def _adopt(call: _Call, settings: Settings) -> AdoptionReport:
    async with adoption_on(settings, call.options) as session:
        survey = await session.source.survey()
        rules = _rules(call, session.layout, survey)
        report = AdoptionReport(session.layout, survey, rules, call.dry_run)
        for line in report.describe_tables():
            click.echo(visible(line), err=call.as_json)
        _check_users(survey)
        with open_mapping(call.mapping) as write_mapping:
            await _run(call, session, report, write_mapping)
    if not call.dry_run:
        await update_planner(settings, report.counts.messages["new"])
    return report


async def _run(
    call: _Call, session: AdoptionSession, report: AdoptionReport, write_mapping: WriteMapping
) -> None:
    def refuse(refusal: Refusal) -> None:
        if call.stops:
            raise AdoptionError(f"Stopped at {refusal}. What was adopted before it stays.")
        warn(f"refused: {refusal}")
        if len(report.refusals) < REFUSALS_SHOWN:
            report.refusals.append(refusal)

    survey = report.survey
    rows = survey.conversations + survey.messages - survey.orphan_count
    with progress("reading" if call.dry_run else "adopting", rows) as advance:
        adoption = Adoption(
            session.source,
            session.target,
            report.rules,
            session.now,
            on_refusal=refuse,
            on_adopted=write_mapping,
            advance=advance,
            counts=report.counts,
        )
        await (adoption.preview() if call.dry_run else adoption.adopt())
    if not call.dry_run:
        with progress("comparing", rows) as advance:
            check = AdoptionCheck(
                session.source, session.target, report.rules, session.now, advance
            )
            report.comparison = await check.compare()


def _rules(call: _Call, layout: Layout, survey: Survey) -> AdoptionRules:
    """Return the rules. Raises `AdoptionError` if one of the statuses is unknown."""
    conversations, messages = layout.conversations, layout.messages
    rules = AdoptionRules(
        conversations=IdMapping(conversations.name, conversations.kind("id")),
        messages=IdMapping(messages.name, messages.kind("id")),
        owner=call.owner,
        roles=call.roles,
        statuses=call.statuses,
        content_kind=messages.kind("content"),
    )
    unknown = [each for each in survey.statuses if each is not None and not rules.knows(each)]
    if unknown:
        options = " ".join(f"--status {each}=..." for each in unknown)
        raise AdoptionError(
            f"{conversations.name}: unknown status {', '.join(map(repr, unknown))}. Map it to "
            f"active, archived, or leave (to leave such conversations behind): {options}"
        )
    return rules


def _check_users(survey: Survey) -> None:
    """Raise `AdoptionError` if owners must be added to users, and chatkeep cannot add them."""
    if survey.owner_count and survey.users_need:
        raise AdoptionError(
            f"{survey.owner_count} owners are not in the table users "
            f"({', '.join(survey.owners[:10])}), and a row there needs more than an id: "
            f"{', '.join(survey.users_need)}. Have the application that owns the table add them "
            "first. Nothing was adopted."
        )
