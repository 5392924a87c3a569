"""`atoll hub …`: the centre. Makes it, invites sites, gives investigators access, serves, and shows runs."""

from __future__ import annotations

import importlib.util
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from atoll.cli.output import AtollGroup, Output, with_output
from atoll.errors import OperatorError
from atoll.settings import settings

PATH = click.Path(path_type=Path)
home_option = click.option(
    "--home", type=PATH, help="The hub's folder.", default=lambda: settings().home / "hub", show_default="~/.atoll/hub"
)


@click.group(cls=AtollGroup)
def hub() -> None:
    """The centre: invitations, runs and results. It never holds a patient row."""


@hub.command(epilog="Example: atoll hub init --url https://hub.hospital.example:8443")
@click.option("--url", required=True, help="The address that sites and researchers will call.")
@click.option("--name", default="Atoll hub", show_default=True, help="What people call it.")
@click.option("--host", "hosts", multiple=True, help="Another name or address for its certificate; may be repeated.")
@click.option("--listen", default="", help="Address of this machine to listen on; all when left out.")
@click.option("--store", "store_url", default="", help="postgresql://… ; a SQLite file in the folder when left out.")
@click.option("--certificate", type=PATH, help="Certificate chain (PEM) of an existing authority.")
@click.option("--key", type=PATH, help="The certificate's private key (PEM).")
@click.option("--authority", type=PATH, help="That authority's certificate (PEM); left out for a public one.")
@home_option
@with_output
def init(
    out: Output,
    url: str,
    name: str,
    hosts: tuple[str, ...],
    listen: str,
    store_url: str,
    certificate: Path | None,
    key: Path | None,
    authority: Path | None,
    home: Path,
) -> None:
    """Make a hub: its key, its certificates, its store."""
    from atoll.hub.home import Given
    from atoll.hub.home import init as make
    from atoll.network.certificates import fingerprint

    if (certificate is None) != (key is None):
        raise OperatorError("A certificate and its key belong together.", "Give --certificate and --key, or neither.")
    given = Given(certificate, key, authority) if certificate and key else None
    made = make(home, url, name=name, hosts=hosts, host=listen, store_url=store_url, given=given)
    pem = made.authority()
    document = {
        "home": str(home),
        "url": made.config.url,
        "key": made.identity().fingerprint,
        "authority": fingerprint(pem) if pem else None,
    }
    out.result(document)
    out.say(f"Made {name!r} in {home}")
    out.say(f"  address    {document['url']}")
    out.say(f"  its key    {document['key']}")
    out.say(f"  authority  {document['authority'] or 'a public one'}")
    if pem:
        out.say(f"             in {home / 'ca.pem'}: investigators need this file (--authority)")
    out.note("Next: atoll hub serve, and atoll hub invite NAME for every hospital.")


@hub.command(epilog="Example: atoll hub invite north")
@click.argument("name")
@click.option("--hours", type=click.FloatRange(0.01, 24 * 30), default=72, show_default=True, help="The code's life.")
@home_option
@with_output
def invite(out: Output, name: str, hours: float, home: Path) -> None:
    """Print a one-time code with which a hospital joins under this name."""
    from atoll.hub.home import Home
    from atoll.hub.home import invite as new_code

    opened = Home.open(home)
    code = new_code(opened, name, hours=hours)
    out.result({"site": name, "code": code, "hours": hours, "key": opened.identity().fingerprint}, code)
    out.note(f"For {name}, once, within {hours:g} hours: atoll site join CODE")
    out.note(f"The hub's key, to compare by telephone: {opened.identity().fingerprint}")


@hub.command(epilog="Example: atoll hub token wang-fang")
@click.argument("name")
@click.option(
    "--key", "fingerprint", help="Fingerprint of the investigator's key; pinned at the first study otherwise."
)
@home_option
@with_output
def token(out: Output, name: str, fingerprint: str | None, home: Path) -> None:
    """Print a new access token for an investigator; an earlier one ends at once."""
    from atoll.hub.home import Home, new_token

    value = new_token(Home.open(home), name, fingerprint=fingerprint)
    out.result({"investigator": name, "token": value}, value)
    out.note("It is shown once; the hub keeps only its hash.")


@hub.command()
@home_option
@with_output
def serve(out: Output, home: Path) -> None:
    """Serve sites and researchers until Ctrl-C."""
    from atoll.hub.home import Home
    from atoll.hub.serve import serve as run

    start_log()

    def ready(url: str) -> None:
        out.result({"url": url}, f"Serving {url}")
        sys.stdout.flush()

    run(Home.open(home), ready=ready, routes=_pages())


def _pages() -> Any:
    """The pages, where they are installed."""
    if importlib.util.find_spec("atoll.hub.pages") is None:
        return lambda service: ()
    return importlib.import_module("atoll.hub.pages").routes


@hub.command()
@home_option
@with_output
def runs(out: Output, home: Path) -> None:
    """All runs, newest study first; of one that waits, for whom, since when and until when."""
    from atoll.hub import views
    from atoll.hub.sentences import ENGLISH, awaited

    found = _read(home, lambda connection: views.runs(connection))
    out.result(found)
    rows = [
        (
            run["run"],
            run["title"],
            run["analysis"],
            run["state"],
            run["started"] or "",
            awaited(run["awaited"], ENGLISH) if run["awaited"] else run["sentence"],
        )
        for run in found
    ]
    out.table(("run", "study", "analysis", "state", "started", ""), rows)


@hub.command(epilog="Example: atoll hub deadline 48")
@click.argument("hours", required=False, type=click.FloatRange(0.001, 24 * 365))
@home_option
@with_output
def deadline(out: Output, hours: float | None, home: Path) -> None:
    """Show, or set, how many hours a hospital may take to answer one question. A running hub follows at once."""
    from atoll.hub import store, waiting

    if hours is not None:
        _write(home, lambda connection: store.set_fact(connection, waiting.DEADLINE, repr(hours)))
    now = _read(home, waiting.hours)
    out.result({"hours": now}, f"{now:g} hours; a run whose question is not answered by then ends.")


@hub.command()
@home_option
@with_output
def sites(out: Output, home: Path) -> None:
    """All sites that have joined, with the keys to compare."""
    from atoll.hub import views

    found = [{k: v for k, v in site.items() if k != "online"} for site in _read(home, lambda c: views.sites(c, None))]
    out.result(found)
    out.table(("site", "joined", "key"), [(site["name"], site["joined"], site["key"]) for site in found])


@hub.command()
@home_option
@with_output
def reports(out: Output, home: Path) -> None:
    """What the operator should look at: shares that were refused."""
    from atoll.hub import store, views

    found = _read(home, store.reports)
    out.result(found)
    rows = [(views.moment(r["received"]), r["site"], r["run"], r["what"]) for r in found]
    out.table(("when", "site", "run", "what"), rows)


def _read(home: Path, query: Any) -> Any:
    from atoll.hub.home import Home

    opened = Home.open(home).store()
    try:
        with opened.reading() as connection:
            return query(connection)
    finally:
        opened.close()


def _write(home: Path, act: Callable[[Any], None]) -> None:
    from atoll.hub.home import Home

    opened = Home.open(home).store()
    try:
        with opened.writing() as connection:
            act(connection)
    finally:
        opened.close()


def start_log() -> None:
    """Log lines on stderr; SIGTERM ends the program as Ctrl-C does."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
