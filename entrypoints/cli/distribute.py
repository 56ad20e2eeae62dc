"""`chatkeep distribute`: spreads a database over the nodes of its Citus cluster, by user."""

import asyncio

import click

from chatkeep.domain.operations.distribution import TablePlan
from chatkeep.entrypoints.bootstrap import operator
from chatkeep.entrypoints.cli.options import open_database


@click.command()
@click.option("--dry-run", is_flag=True, help="Change nothing; show where each table would go.")
def distribute(*, dry_run: bool) -> None:
    """Spread the database over the nodes of its Citus cluster, by user.

    All that a user has is then on one node. Run it with the URL of the coordinator, after `chatkeep
    migrate` and again after each upgrade: it leaves alone what is in place, and adds new tables.

    It is one transaction: everything is distributed, or nothing. The service can go on running. Its
    writes wait until the rows are copied, so for a large database choose a quiet time. There must
    be room for all rows twice: the ones that are not used any more are removed at the end.
    """
    with open_database() as ready:
        if dry_run:
            plan = asyncio.run(operator.distribution_plan(ready))
            for table in plan.tables:
                click.echo(f"{_place(table)}{'' if table.done else ': to be done'}")
            click.echo(
                f"Citus {plan.citus}, {plan.nodes} nodes with rows; nothing was changed, "
                f"{len(plan.to_do)} of {len(plan.tables)} tables to do"
            )
            return
        plan = asyncio.run(operator.distribute(_report, ready))
    click.echo(
        f"Citus {plan.citus}, {plan.nodes} nodes with rows; {len(plan.to_do)} of "
        f"{len(plan.tables)} tables were distributed now, the others before"
    )


def _report(table: TablePlan, seconds: float) -> None:
    click.echo(f"{_place(table)}: {seconds:.1f} s")


def _place(table: TablePlan) -> str:
    column = f" ({table.column})" if table.column else ""
    return f"{table.table}  {table.placement}{column}"
