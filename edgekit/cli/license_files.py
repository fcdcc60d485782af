"""Licence files: a vendor's `licensing keygen`, `issue`, `renew`; an agency's `trust`, `install`, `files`.

`revoke` and `rotate-key` are for both: with a key they write what the vendor signs, with --file they take it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Command
from edgekit.cli.options import connected, json_option, opened
from edgekit.cli.show import show

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

key_option = click.option(
    "--key", "key_file", metavar="KEYFILE", required=True, help="The vendor's secret key, made by keygen."
)
passphrase_option = click.option(
    "--passphrase-file", metavar="FILE", help="Read the passphrase of the key here, instead of asking for it."
)
out_option = click.option("--out", metavar="FILE", help="Write it to this new file, not to standard output.")
mode_option = click.option(
    "--mode", type=click.Choice(["advise", "warn", "block"]),
    help="What is done about what is not licensed: answer truthfully, also say so at each use, or refuse it.",
)  # fmt: skip
starts_option = click.option("--starts", metavar="TIME", help="From when it holds.  [default: now]")
expires_option = click.option("--expires", metavar="TIME", help="Until when it holds: 2027-01-31, UTC.")
days_option = click.option("--days", type=click.IntRange(1), help="Let it hold for so many days instead.")
grace_option = click.option(
    "--grace-days", type=click.IntRange(0), help="For so many days after it has expired it still holds."
)
site_option = click.option("--site", metavar="UUID", help="The one site it is for.  [default: any]")
customer_option = click.option("--customer", metavar="NAME", help="Whom it is for.")
serial_option = click.option("--serial", metavar="TEXT", help="Its number.  [default: a new one]")
clock_option = click.option(
    "--sets-clock", is_flag=True,
    help="Vouch that it is now as late as this computer says, for a file whose clock was ahead.",
)  # fmt: skip


@click.command(cls=Command, example='edgekit licensing keygen vendor.key --vendor "Acme Software"')
@click.argument("file", metavar="KEYFILE")
@click.option("--vendor", metavar="NAME", required=True, help="Who signs with it, as customers read it.")
@click.option("--passphrase", "ask", is_flag=True, help="Seal the key with a passphrase; it is asked for.")
@passphrase_option
@json_option
def keygen(file: str, vendor: str, ask: bool, passphrase_file: str | None, as_json: bool) -> None:
    """Make a vendor's key: its secret half in KEYFILE, its public half to hand out in KEYFILE.pub.

    Whoever has KEYFILE issues licences in your name, and without it nobody can: keep a copy of it apart.
    """
    from edgekit.licensing import vendor as lib

    passphrase = None
    if ask or passphrase_file:
        passphrase = _passphrase(passphrase_file, file, confirm=True)()
    show(lib.keygen(file, vendor=vendor, passphrase=passphrase), as_json)


@click.command(
    cls=Command,
    example="edgekit licensing issue --key vendor.key --tier PREMIUM --days 365 --out smith.license\n"
    "edgekit licensing issue --key vendor.key --feature API_INTEGRATIONS=5 --scope program:AUTO",
)
@key_option
@click.option("--tier", metavar="CODE", help="The tier it gives.")
@click.option("--feature", "features", metavar="CODE[=QUANTITY]", multiple=True, help="A feature it gives.")
@click.option("--value", "values", metavar="CODE JSON", nargs=2, multiple=True,
              help='The value of a feature: CODE \'{"enabled": true, "value": 5000}\'.')  # fmt: skip
@click.option("--scope", default="system", show_default=True, metavar="LEVEL[:CODE]",
              help="Where its features are licensed: system, program:CODE or producer:CODE.")  # fmt: skip
@click.option("--organization", metavar="CODE", help="The one organization of the file it is for.")
@customer_option
@site_option
@mode_option
@starts_option
@expires_option
@days_option
@grace_option
@serial_option
@clock_option
@out_option
@passphrase_option
@json_option
def issue(
    key_file: str, features: tuple[str, ...], values: tuple[tuple[str, str], ...], scope: str,
    mode: str | None, starts: str | None, expires: str | None, days: int | None, grace_days: int | None,
    out: str | None, passphrase_file: str | None, as_json: bool, **terms: Any,
) -> None:  # fmt: skip
    """Issue a licence: a text to mail, which nobody can change unseen. No database is needed."""
    from edgekit.licensing import issuing, vendor

    begins, ends = issuing.times(starts, expires, days)
    signed = issuing.issue(
        vendor.load(key_file, ask=_passphrase(passphrase_file, key_file)),
        features=issuing.grants(features, values, scope=scope),
        mode=mode or "advise",
        grace_days=grace_days or 0,
        starts=begins,
        expires=ends,
        **terms,
    )
    _write(signed, out, as_json)


@click.command(
    cls=Command, example="edgekit licensing renew smith.license --key vendor.key --out smith-2.license"
)
@click.argument("file")
@key_option
@customer_option
@click.option("--site", metavar="UUID", help="The one site it is for.  [default: that of the old one]")
@mode_option
@starts_option
@expires_option
@days_option
@grace_option
@serial_option
@clock_option
@out_option
@passphrase_option
@json_option
def renew(
    file: str, key_file: str, starts: str | None, expires: str | None, days: int | None, out: str | None,
    passphrase_file: str | None, as_json: bool, **changes: Any,
) -> None:  # fmt: skip
    """Issue a licence that takes the place of the one in FILE, on its terms but for what is given.

    It runs for as long as the old one did. The agency installs it like any other.
    """
    from edgekit.licensing import issuing, vendor

    loaded = vendor.load(key_file, ask=_passphrase(passphrase_file, key_file))
    begins, ends = issuing.times(starts, expires, days)
    _write(issuing.renew(loaded, _content(file), starts=begins, expires=ends, **changes), out, as_json)


@click.command(
    cls=Command,
    example='edgekit licensing revoke 20260131-5d3c… --key vendor.key --reason "returned" --out revoked.txt\n'
    "edgekit licensing revoke --file revoked.txt",
)
@click.argument("serial", required=False)
@click.option("--file", metavar="FILE", help="Take the revocation in this file, as the vendor sent it.")
@click.option("--key", "key_file", metavar="KEYFILE", help="Sign a revocation of SERIAL with this key.")
@click.option("--reason", metavar="TEXT", help="Why, as the agency will read it.")
@out_option
@passphrase_option
@json_option
@click.pass_context
def revoke(
    context: click.Context, serial: str | None, file: str | None, key_file: str | None, reason: str | None,
    out: str | None, passphrase_file: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Take a licence back: the vendor signs it with SERIAL and --key, the agency applies it with --file."""
    if file is not None and not (serial or key_file):
        context.invoke(_apply_revocation, content=_content(file), as_json=as_json)
        return
    if file is not None or serial is None or key_file is None:
        raise click.UsageError("Say either --file FILE, or SERIAL and --key KEYFILE.")
    from edgekit.licensing import issuing, vendor

    loaded = vendor.load(key_file, ask=_passphrase(passphrase_file, key_file))
    _write(issuing.revoke(loaded, serial, why=reason), out, as_json)


@click.command()
@opened
def _apply_revocation(content: bytes, as_json: bool) -> None:
    from edgekit.licensing import installing

    show(installing.revoke(content), as_json)


@click.command(
    "rotate-key",
    cls=Command,
    example="edgekit licensing rotate-key --key vendor.key --new vendor-2.key --out new-key.txt\n"
    "edgekit licensing rotate-key --file new-key.txt",
)
@click.option("--file", metavar="FILE", help="Trust the new key in this file, which the old one has signed.")
@click.option("--key", "key_file", metavar="KEYFILE", help="The vendor's key until now.")
@click.option("--new", "new_file", metavar="KEYFILE", help="The vendor's key from now on.")
@out_option
@passphrase_option
@json_option
@click.pass_context
def rotate_key(
    context: click.Context, file: str | None, key_file: str | None, new_file: str | None, out: str | None,
    passphrase_file: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Change the vendor's key: the vendor signs it with --key and --new, the agency takes it with --file."""
    if file is not None and not (key_file or new_file):
        context.invoke(_apply_key, content=_content(file), as_json=as_json)
        return
    if file is not None or key_file is None or new_file is None:
        raise click.UsageError("Say either --file FILE, or --key KEYFILE and --new KEYFILE.")
    from edgekit.licensing import issuing, vendor

    old, new = (vendor.load(key, ask=_passphrase(passphrase_file, key)) for key in (key_file, new_file))
    _write(issuing.change_key(old, new), out, as_json)


@click.command()
@opened
def _apply_key(content: bytes, as_json: bool) -> None:
    from edgekit.licensing import trusting

    show(trusting.rotate_key(content), as_json)


@click.command(cls=Command, example="edgekit licensing trust vendor.key.pub")
@click.argument("file")
@json_option
@opened
def trust(file: str, as_json: bool) -> None:
    """Trust the vendor whose public key is in FILE. This is done once; `init --vendor-key` does it too."""
    from edgekit.licensing import trusting

    show(trusting.trust(_content(file)), as_json)


@click.command(cls=Command, example="edgekit licensing install smith.license")
@click.argument("file")
@json_option
@opened
def install(file: str, as_json: bool) -> None:
    """Install the licence in FILE, as its vendor sent it; - is standard input."""
    from edgekit.licensing import installing

    done = installing.install(_content(file))
    show(done, as_json, view=_installed, note="\n".join(done.notes) or None)


def _installed(done: Any) -> dict[str, Any]:
    replaced = ", ".join(done.replaced) or None
    return {"installed": done.licence.serial, "replaces": replaced, **_line(done.licence), "mode": done.mode}


@click.command(cls=Command, example="edgekit licensing files")
@json_option
@connected
def files(connection: sqlite3.Connection, as_json: bool) -> None:
    """List the licence files that were installed, the newest first, and how they stand."""
    from edgekit.licensing import standing

    found = standing.read(connection)
    note = found.clock.warning or (f"Mode in force: {found.mode}." if found.licences else None)
    empty = "No licence is installed: everything is answered, nothing is blocked."
    show(found.licences[::-1], as_json, view=lambda one: {"serial": one.serial, **_line(one)}, empty=empty,
         note=note)  # fmt: skip


def _line(one: Any) -> dict[str, Any]:
    return {
        "state": one.state.replace("_", " "),
        "vendor": one.vendor,
        "customer": one.customer,
        "tier": one.tier,
        "features": ", ".join(grant.feature for grant in one.features) or None,
        "starts": one.starts_at,
        "expires": one.expires_at or "never",
        "days of grace": one.grace_days,
    }


@click.command("show", cls=Command, example="edgekit licensing show 20260131-5d3c…")
@click.argument("serial")
@json_option
@connected
def show_file(connection: sqlite3.Connection, serial: str, as_json: bool) -> None:
    """Show all a licence says, and how it stands."""
    from edgekit.licensing import standing

    show(standing.show(connection, serial), as_json)


@click.command(cls=Command, example='edgekit licensing clock --accept --reason "the battery was empty"')
@click.option("--accept", is_flag=True, help="Believe the clock of this computer again: it was ahead before.")
@click.option("--reason", metavar="TEXT", help="Why the clock was ahead; kept in the log.")
@json_option
@click.pass_context
def clock(context: click.Context, accept: bool, reason: str | None, as_json: bool) -> None:
    """Show the time licences are judged at: the clock may go on, not back."""
    if accept and not reason:
        raise click.UsageError("Say with --reason why the clock was ahead.")
    if accept:
        context.invoke(_accept_clock, reason=reason, as_json=as_json)
    else:
        context.invoke(_read_clock, as_json=as_json)


@click.command()
@opened
def _accept_clock(reason: str, as_json: bool) -> None:
    from edgekit.licensing import clock as lib

    _show_clock(lib.accept(reason=reason), as_json)


@click.command()
@connected
def _read_clock(connection: sqlite3.Connection, as_json: bool) -> None:
    from edgekit.licensing import clock as lib

    _show_clock(lib.read(connection), as_json)


def _show_clock(found: Any, as_json: bool) -> None:
    said = {
        "now": found.now,
        "seen": found.seen,
        "judged_at": found.effective,
        "state": found.state,
        "warning": found.warning,
        "remedy": found.remedy or None,
    }
    show(said, as_json)


def warn_of_clock() -> None:
    """Tell on standard error that the clock was set back: what is licensed is judged at another time."""
    from edgekit.licensing import clock as lib

    if warning := lib.warning():
        click.echo(f"{click.style('warning:', fg='yellow')} {warning}", err=True)


def _passphrase(file: str | None, key_file: str, *, confirm: bool = False) -> Callable[[], str]:
    """Return how a key's passphrase is come by: from a file, the terminal, else from standard input."""

    def ask() -> str:
        if file is not None:
            return _content(file).decode("utf-8-sig", "surrogateescape").rstrip("\r\n")
        if sys.stdin.isatty():
            what = f"Passphrase of {key_file}"
            typed: str = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
            return typed
        return sys.stdin.buffer.readline().decode("utf-8-sig", "surrogateescape").rstrip("\r\n")

    return ask


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    from edgekit.licensing.statement import read_file

    return read_file(file)


def _write(signed: Any, out: str | None, as_json: bool) -> None:
    from edgekit.licensing import statement, vendor

    text = statement.render(signed)
    if out is not None:
        from pathlib import Path

        vendor.write_new(Path(out), text)
    if as_json:
        show({"file": out, "document": signed.document, "text": text}, as_json)
    elif out is None:
        click.echo(text, nl=False)
    else:
        show(f"Wrote {out}: {statement.describe(signed)}", as_json)


COMMANDS = (keygen, issue, renew, revoke, rotate_key, trust, install, files, show_file, clock)
"""What is added to the group `licensing`."""
