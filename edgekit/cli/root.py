"""The root command and the table of all others, which is everything `edgekit --help` needs."""

from __future__ import annotations

import click

from edgekit import __version__
from edgekit.cli.group import Lazy, Root, Settings

_FILE, _AUDIT, _INTEGRATIONS = "edgekit.cli.file", "edgekit.cli.audit", "edgekit.cli.integrations"
_RUNNER = "edgekit.cli.runner"

COMMANDS = {
    "demo": Lazy("Start here", "edgekit.cli.demo", "Show the main job on a small agency's file, offline."),
    "init": Lazy("Start here", _FILE, "Create a file."),
    "status": Lazy("Start here", _FILE, "Show what is in the file and what happened last."),
    "configuration": Lazy(
        "Set it up", "edgekit.cli.configuration", "Set what varies by place, and ask what counts and why."
    ),
    "environment": Lazy(
        "Set it up", "edgekit.cli.environment", "Say what the file is used for: trying or production."
    ),
    "integrations": Lazy("Bring data in", _INTEGRATIONS, "Connect a source and run it."),
    "dead-letters": Lazy("Bring data in", _RUNNER, "Look at records set aside, replay or discard them."),
    "executions": Lazy("Bring data in", _RUNNER, "Look at past runs."),
    "mappings": Lazy("Bring data in", "edgekit.cli.mappings", "Try how fields become columns."),
    "pipelines": Lazy("Bring data in", "edgekit.cli.pipelines", "Try the steps records go through."),
    "connectors": Lazy("Bring data in", "edgekit.cli.connectors", "See what can be connected, and how."),
    "tables": Lazy("Bring data in", "edgekit.cli.tables", "Make tables of your own, audited like the rest."),
    "webhooks": Lazy(
        "Bring data in", "edgekit.cli.webhooks", "Take what other services tell of their own accord."
    ),
    "transformations": Lazy(
        "Bring data in", "edgekit.cli.transformations", "Keep and try scripts that change records."
    ),
    "vault": Lazy("Bring data in", "edgekit.cli.vault", "Keep the secrets of integrations."),
    "licensing": Lazy(
        "Set it up", "edgekit.cli.licensing", "Ask what is licensed and why, and license features."
    ),
    "seeds": Lazy("Bring data in", "edgekit.cli.seeds", "Add reference rows."),
    "runner": Lazy(
        "Let it run by itself", "edgekit.cli.runner_process", "Run what is due, here or as a service."
    ),
    "schedules": Lazy("Let it run by itself", "edgekit.cli.schedules", "Say when integrations run."),
    "jobs": Lazy(
        "Let it run by itself", "edgekit.cli.jobs", "See what is to be done later, and what became of it."
    ),
    "communications": Lazy(
        "Tell others", "edgekit.cli.communications", "Send mails and messages; see what became of them."
    ),
    "events": Lazy("Tell others", "edgekit.cli.events", "Tell what has happened, and who hears of it."),
    "notifications": Lazy(
        "Tell others", "edgekit.cli.notifications", "See who is told when something fails."
    ),
    "schema": Lazy("Look back", "edgekit.cli.schema", "Say what the tables hold and how they hang together."),
    "audit": Lazy("Look back", _AUDIT, "Read the log: what changed, who did it, how it was."),
    "monitoring": Lazy("Look back", "edgekit.cli.monitoring", "See how the clients stand, summed up."),
    "verify": Lazy("Keep it safe", _FILE, "Check that the file is what it should be."),
    "doctor": Lazy("Keep it safe", _FILE, "Say what is wrong with the file and its place, and what to do."),
    "backup": Lazy("Keep it safe", _FILE, "Write a proven copy of the file."),
    "backups": Lazy(
        "Keep it safe", "edgekit.cli.backups", "See which backups there are, and make one every day."
    ),
    "restore": Lazy("Keep it safe", _FILE, "Bring a file back from a backup."),
    "migrate": Lazy("Keep it safe", _FILE, "Bring the file to the schema of this program."),
}
"""Every word: the heading it stands under, the module that holds it, and what it is for."""

EDITED = "producers, programs, policies, users, communication-channels, … (edgekit schema tables lists all)"
"""Some of the words for rows people edit; each has list, show, add, set and retire."""


@click.group(
    cls=Root,
    table=COMMANDS,
    note=EDITED,
    context_settings={"help_option_names": ["-h", "--help"]},
    options_metavar="[--db FILE] [--actor NAME]",
    subcommand_metavar="WORD [VERB] ...",
)
@click.option(
    "--db", metavar="FILE", envvar="EDGEKIT_DB", default="edgekit.db", show_envvar=True, show_default=True,
    help="The file to work on.",
)  # fmt: skip
@click.option(
    "--actor",
    metavar="NAME",
    help="The user of the file who does this.  [default: your login, if the file has it]",
)
@click.version_option(__version__, prog_name="edgekit")
@click.pass_context
def edgekit(context: click.Context, db: str, actor: str | None) -> None:
    """Keep a small agency's back office in one SQLite file: audited, validated, integrated, offline."""
    context.obj = Settings(db, actor)
