"""`atoll site …`: a hospital's node. The steward joins a hub, registers data, decides, and reads the ledger."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.output import AtollGroup, Output, with_output
from atoll.errors import NotPermitted, OperatorError
from atoll.settings import settings

if TYPE_CHECKING:
    from atoll.site.datasets import Registration
    from atoll.site.home import Home
    from atoll.site.store import SiteStore

PATH = click.Path(path_type=Path)
COMMANDS = {
    "dataset": ("atoll.cli.dataset:dataset", "Register the tables that studies may ask about."),
    "load": ("atoll.cli.nightly:load", "Have the running site load an export every night."),
    "score": ("atoll.cli.score:score", "Use a released model: keep a screening list of own people."),
}
home_option = click.option(
    "--home",
    type=PATH,
    help="The site's folder.",
    default=lambda: settings().home / "site",
    show_default="~/.atoll/site",
)


@click.group(cls=AtollGroup, table=COMMANDS)
def site() -> None:
    """A hospital's node: its data, its approvals, its ledger. It only calls out; nobody calls it."""


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Home, SiteStore]]:
    """The site's folder and store."""
    from atoll.site.home import Home

    home = Home(folder)
    store = home.store()
    try:
        yield home, store
    finally:
        store.close()


@site.command()
@home_option
@with_output
def init(out: Output, home: Path) -> None:
    """Make a site: its key and its store."""
    from atoll.site.home import Home

    made = Home.init(home)
    out.result({"home": str(home), "key": made.fingerprint()})
    out.say(f"Made a site in {home}")
    out.say(f"  its key    {made.fingerprint()}")
    out.note("Next: atoll site join CODE, with the code from the hub's operator.")


@site.command(epilog="Example: atoll site join atoll1-…")
@click.argument("code")
@home_option
@with_output
def join(out: Output, code: str, home: Path) -> None:
    """Join the hub that a one-time code names, and pin its key."""
    from atoll.site.home import Home
    from atoll.site.home import join as to_hub

    welcome = to_hub(Home(home), code)
    out.result(asdict(welcome))
    out.say(f"Joined {welcome.hub!r} at {welcome.url} as {welcome.site!r}")
    out.say(f"  your key       {welcome.site_key}")
    out.say(f"  the hub's key  {welcome.hub_key}")
    out.note("Compare both keys with the hub's operator by telephone: `atoll hub sites` shows yours.")


@site.command()
@home_option
@with_output
def studies(out: Output, home: Path) -> None:
    """Studies that were proposed to this site, newest first."""
    with opened(home) as (_, store):
        found = [
            {name: row[name] for name in ("hash", "title", "state", "received", "decided")} for row in store.studies()
        ]
    out.result(found)
    rows = [(study["hash"][:12], study["state"], study["received"][:19], study["title"]) for study in found]
    out.table(("study", "state", "received", "title"), rows)


@site.command()
@click.argument("study")
@click.option("--language", type=click.Choice(["en", "zh"]), help="From your settings when left out.")
@click.option("--whole", is_flag=True, help="Name every concept, also of long concept sets.")
@home_option
@with_output
def explain(out: Output, study: str, language: str | None, whole: bool, home: Path) -> None:
    """Say in plain words what a study would do with this hospital's data. STUDY is the beginning of its hash."""
    from atoll.governance.signatures import SignedStudy
    from atoll.privacy.disclosure import Policy
    from atoll.site.datasets import read_policy
    from atoll.study.explain import explain as in_words

    with opened(home) as (folder, store):
        row = store.study(study)
        signed = SignedStudy.from_bytes(row["signed"])
        document = signed.study()
        policy: Policy = read_policy(folder, store).tightened(document.privacy.limits())
        chosen: Any = language or settings().language
        text = in_words(document, store.fact("site"), chosen, limits=asdict(policy), whole=whole)
    result = {"hash": signed.hash, "state": row["state"], "signed_by": signed.fingerprint, "text": text}
    out.result(result, text.rstrip("\n"))


def _decision(action: str, help: str) -> None:
    @site.command(action, help=help, epilog=f"Example: atoll site {action} 3f9c2a")
    @click.argument("study")
    @home_option
    @with_output
    def decide(out: Output, study: str, home: Path) -> None:
        with opened(home) as (folder, store):
            row = store.study(study)
            made = _make(out, folder, store, row) if action == "approve" else []
            state = store.decide(row["hash"], action)
        folder.wake()
        rows = {made_.source.partition(" of study")[0]: made_.rows for made_ in made}
        out.result(
            {"study": row["hash"], "state": state, "made": rows}, f"{row['title']} ({row['hash'][:12]}): {state}"
        )


def _make(out: Output, home: Home, store: SiteStore, row: Any) -> list[Registration]:
    """The tables of a study's recipes, made before it is approved: a steward sees how many rows it is about."""
    from atoll.governance.signatures import SignedStudy
    from atoll.site.datasets import Registry, made_name

    study, registry = SignedStudy.from_bytes(row["signed"]).study(), Registry(home, store)
    missing = [name for name in study.recipes if made_name(study, name) not in registry.names()]
    if not missing:
        return []
    cdm = store.fact("cdm")
    if cdm is None:
        raise OperatorError(
            f"The study makes {', '.join(missing)} from this hospital's OMOP data, and this site knows of none.",
            "Name them: atoll site cdm URL.",
        )
    made = []
    with out.progress("Making", len(missing)) as step:
        for name in missing:
            made.append(registry.make(study, name, cdm, threads=settings().threads))
            step(f"{name}: {made[-1].rows:,} rows")
    return made


@site.command(epilog="Example: atoll site cdm duckdb:///data/omop.duckdb")
@click.argument("url", required=False)
@home_option
@with_output
def cdm(out: Output, url: str | None, home: Path) -> None:
    """Say where this hospital's OMOP data are, or show it. Studies that are approved may make tables from them."""
    from atoll.cdm.database import without_password
    from atoll.cdm.workspace import workspace_at

    with opened(home) as (_, store):
        if url is not None:
            with workspace_at(url) as workspace:
                persons = workspace.columns("person")
            if persons is None:
                raise OperatorError(f"{without_password(url)} has no table of persons.", "Is it an OMOP database?")
            store.set_facts(cdm=url)
        known = store.fact("cdm")
    place = without_password(known) if known else None
    out.result({"cdm": place}, place or "This site knows of no OMOP data. Name them: atoll site cdm URL.")


_decision("approve", "Approve a study, by the beginning of its hash; a paused one goes on.")
_decision("refuse", "Refuse a proposed study.")
_decision("pause", "Pause a study: nothing leaves until it is approved again.")
_decision("stop", "Stop a study for good, at once: nothing leaves any more.")


@site.command()
@click.option("--verify", is_flag=True, help="Check that no entry was changed, and print nothing else.")
@click.option("--last", type=click.IntRange(1), help="Only the last entries.")
@home_option
@with_output
def ledger(out: Output, verify: bool, last: int | None, home: Path) -> None:
    """What was decided here and what has left, entry by entry."""
    from atoll.governance.ledger import verify as check

    with opened(home) as (_, store):
        entries = store.entries()
    bad = check(entries)
    if bad is not None:
        raise NotPermitted(
            f"The ledger was changed: entry {bad + 1} is not as it was written.",
            "Keep the file as it is, and tell the hub's operator and your data protection officer.",
        )
    head = entries[-1].hash if entries else None
    if verify:
        out.result(
            {"whole": True, "entries": len(entries), "head": head}, f"Whole: {len(entries)} entries, head {head}"
        )
        return
    shown = entries[-last:] if last else entries
    out.result([asdict(entry) for entry in shown])
    rows = [
        (e.number, e.when[:19], e.kind, e.decision, e.study[:12], e.analysis or e.subject, e.bytes or "", e.rule)
        for e in shown
    ]
    out.table(("entry", "when", "kind", "decision", "study", "about", "bytes", "rule"), rows)


@site.command(epilog="Example: atoll site policy --set minimum_persons=20")
@click.option("--set", "changes", multiple=True, metavar="LIMIT=VALUE", help="Change a limit; may be repeated.")
@click.option("--reason", default="", help="Why; needed when a limit becomes looser than the default.")
@home_option
@with_output
def policy(out: Output, changes: tuple[str, ...], reason: str, home: Path) -> None:
    """Show this site's limits, or change them. A study can only make them stricter."""
    from atoll.site.datasets import read_policy, write_policy

    with opened(home) as (folder, store):
        limits = read_policy(folder, store)
        if changes:
            limits = replace(limits, **dict(_limit(asdict(limits), change) for change in changes))
            write_policy(folder, store, limits, reason)
    out.result(asdict(limits))
    out.table(("limit", "value"), list(asdict(limits).items()))


def _limit(limits: dict[str, Any], change: str) -> tuple[str, Any]:
    name, _, text = change.partition("=")
    if name not in limits:
        raise OperatorError(f"There is no limit {name!r}.", f"There are {', '.join(limits)}.")
    kind = type(limits[name])
    try:
        value: Any = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        raise OperatorError(
            f"{change!r} is not possible.", f"Give {name}=VALUE, for instance {name}={limits[name]}."
        ) from error
    return name, value


@site.command(epilog="Example: atoll site feasibility --questions 20")
@click.option("--questions", type=click.IntRange(0), help="For each investigator in 30 days; 0 takes it back.")
@home_option
@with_output
def feasibility(out: Output, questions: int | None, home: Path) -> None:
    """Show or give a standing permission: questions of feasibility are answered without asking the steward.

    It covers nothing but numbers of persons, in steps of this site's minimum at least, of five different cohorts or
    feature documents of one investigator in 30 days, and no study with limits of its own. Each use is in the ledger.
    """
    from atoll.site.standing import DAYS, read_standing, write_standing

    with opened(home) as (folder, store):
        if questions is not None:
            write_standing(folder, store, questions)
            folder.wake()
        now = read_standing(folder, store)
    said = f"{now} questions of feasibility for each investigator in {DAYS} days are answered without the steward."
    out.result({"questions": now, "days": DAYS}, said if now else "Every question of feasibility asks the steward.")


@site.command()
@home_option
@with_output
def serve(out: Output, home: Path) -> None:
    """Answer the hub's questions until Ctrl-C. Studies that are not approved are never answered."""
    from atoll.site.agent import Agent
    from atoll.site.outbox import Outbox
    from atoll.site.worker import Answerer

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with opened(home) as (folder, store), folder.alone():
        outbox, line = Outbox(store), folder.line(store)

        def answerer() -> Answerer:
            from atoll.site.answering import Answering

            return Answering(folder, store, outbox, settings().threads)

        agent = Agent(folder, store, line, outbox, answerer)
        name, url = store.fact("site"), store.fact("hub_url")
        out.result({"site": name, "hub": url}, f"Site {name} serves {url}")
        sys.stdout.flush()
        agent.run()


def shown(registration: Registration) -> dict[str, Any]:
    """A registration as a document for people."""
    return {name: value for name, value in registration.to_document().items() if name != "file"}
