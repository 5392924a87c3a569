"""`atoll study submit|status|results`: a study at a hub, with an investigator's token.

The hub's address, authority and token are remembered in the investigator's folder (0600) after they have
worked once, so that later commands need none of them. A token is read from a file or typed, never given
on the command line, where every user of the machine could see it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.output import Output, with_output
from atoll.cli.targets import replaces
from atoll.errors import OperatorError, StudyError
from atoll.settings import settings
from atoll.ui.vocabulary import DECISIONS

if TYPE_CHECKING:
    from atoll.client import Hub, Study

FILE = click.Path(path_type=Path, dir_okay=False)
REMEMBERED = "hub.json"


def at_hub(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which hub, and with which token."""
    for option in (
        click.option("--authority", type=FILE, help="The hub's certificate authority (PEM), where it made its own."),
        click.option("--token-file", type=FILE, help="A file that holds your token; asked for when needed."),
        click.option("--hub", "url", metavar="URL", help="The hub's address; the last one when left out."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("file", type=FILE)
@at_hub
@click.option("--wait", is_flag=True, help="Stay until the study has ended.")
@with_output
def submit(
    out: Output, file: Path, url: str | None, token_file: Path | None, authority: Path | None, wait: bool
) -> None:
    """Hand in a signed study (or a YAML file, which is signed with your key first)."""
    hub = hub_of(url, token_file, authority)
    study = hub.submit(file)
    _remember_study(study.hash)
    out.say(f"Submitted to {hub.url}")
    out.say(f"  study      {study.hash}")
    if wait:
        _follow(out, study)
    else:
        out.note("Every hospital now decides. See: atoll study status")
    out.result(study.status() if out.as_json else None)


@click.command()
@click.argument("study", required=False)
@at_hub
@click.option("--wait", is_flag=True, help="Stay until the study has ended.")
@with_output
def status(
    out: Output, study: str | None, url: str | None, token_file: Path | None, authority: Path | None, wait: bool
) -> None:
    """What a study is doing, and what it waits for; the last submitted one when left out.

    STUDY is the beginning of its hash, six digits or more.
    """
    chosen = hub_of(url, token_file, authority).study(_hash(study))
    if wait:
        _follow(out, chosen)
    document = chosen.status()
    out.result(document if out.as_json else None)
    out.say(f"{document['title']}  ({document['state']})")
    out.say(f"  study      {document['study']}")
    for name, site in sorted(document["sites"].items()):
        out.say(f"  {name:<10} {DECISIONS[site['decision']]}{'' if site['online'] else ', not heard'}")
    out.table(["analysis", "state", ""], [[r["analysis"], r["state"], r["sentence"] or ""] for r in document["runs"]])
    if document["waits_for"]:
        out.say(document["waits_for"])


@click.command()
@click.argument("study", required=False)
@click.option("--analysis", help="Only this one.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Also write NAME.json and NAME.svg here."
)
@at_hub
@replaces
@with_output
def results(
    out: Output,
    study: str | None,
    analysis: str | None,
    output: Path | None,
    url: str | None,
    token_file: Path | None,
    authority: Path | None,
) -> int:
    """The results of a study, and why an analysis has none; the last submitted study when left out.

    STUDY is the beginning of its hash, six digits or more.
    """
    from atoll.cli.run import allow_results, show, write_results
    from atoll.client import run_of, why_none

    chosen = hub_of(url, token_file, authority).study(_hash(study))
    document = chosen.status()
    runs = [run_of(analysis, document["runs"])] if analysis else document["runs"]
    found = {run["analysis"]: chosen.result(run["analysis"]) for run in runs if run["state"] == "finished"}
    if output:
        allow_results(found, output)
        write_results(found, output)
    without = {run["analysis"]: why_none(run, document["waits_for"]) for run in runs if run["analysis"] not in found}
    return show(out, found, without)


def _follow(out: Output, study: Study) -> None:
    from atoll.client import in_a_line

    seen = [""]
    with out.progress("Study") as step:

        def changed(document: dict[str, Any]) -> None:
            if (line := in_a_line(document)) != seen[0]:
                seen[0] = line
                step(line)

        study.wait(progress=changed)


def hub_of(url: str | None, token_file: Path | None, authority: Path | None) -> Hub:
    """The hub that the options name, or the remembered one; what worked is remembered."""
    from atoll.client import Hub

    before = _remembered()
    address = url or before.get("url")
    if not address:
        raise OperatorError("No hub is known yet.", "Give --hub https://HOST:PORT once.")
    same = address == before.get("url")
    pem = authority or (Path(before["authority"]) if same and before.get("authority") else None)
    token = _token(token_file) or (before.get("token") if same else None)
    hub = Hub(address, token=token or click.prompt("Token", hide_input=True, err=True), authority=pem)
    hub.runs()  # fails with a sentence when address, authority or token are wrong
    _remember(before | {"url": address, "token": hub.token, "authority": str(pem.resolve()) if pem else None})
    return hub


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            f"{file} holds no token.", "Put the line that `atoll hub token` printed into it."
        ) from error


def _path() -> Path:
    return settings().home / "investigator" / REMEMBERED


def _remembered() -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(_path().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document


def _remember(document: dict[str, Any]) -> None:
    if document == _remembered():
        return
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file)
    unfinished.replace(path)


def _remember_study(study: str) -> None:
    _remember(_remembered() | {"study": study})


def _hash(study: str | None) -> str:
    chosen = study or _remembered().get("study")
    if not chosen:
        raise StudyError("No study was submitted from here yet.", "Give the study's hash, or its first digits.")
    return str(chosen)
