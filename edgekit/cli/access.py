"""What users have beside their row: `users password`, `users rights`."""

from __future__ import annotations

import click

from edgekit.cli.group import Command
from edgekit.cli.options import json_option, opened, read_secret, reading
from edgekit.cli.show import show


@click.command(
    cls=Command, example="edgekit users password maria\nedgekit users password maria < password.txt"
)
@click.argument("name")
@opened
def password(name: str) -> None:
    """Give a user a password; it is asked for, or read from standard input, and never an argument.

    It is for programs that let people in over a network. Working on the file itself asks for none.
    """
    from edgekit import access

    access.set_password(name, read_secret(f"Password of {name}", twice=True))
    show(f"The password of {name} is set.", as_json=False)


@click.command(cls=Command, example="edgekit --actor maria users rights")
@json_option
@reading
def rights(as_json: bool) -> None:
    """Show who you are for this file, and what each role may do."""
    from edgekit import access

    who = access.session()
    roles = [
        {"role": role, "may": ", ".join(sorted(allowed)), "you": "*" if role == who.role else ""}
        for role, allowed in access.RIGHTS.items()
    ]
    found = {
        "user": who.username,
        "role": who.role,
        "organization": None if who.sees_all else who.organization_id,
        "sees": "everything" if who.sees_all else "the rows of the organization",
        "rights": sorted(who.rights),
        "roles": roles,
    }
    show(found, as_json)
