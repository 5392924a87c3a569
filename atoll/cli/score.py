"""`atoll site score`: use a released model for this hospital's own people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from atoll.cli.output import Output, with_output
from atoll.errors import StudyError
from atoll.settings import settings

PATH = click.Path(path_type=Path)


@click.command(epilog="Example: atoll site score risk.json --dataset checkup --threshold 0.15")
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dataset", required=True, help="A registered dataset with a column that identifies persons.")
@click.option(
    "--threshold", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Risk from which to list."
)
@click.option(
    "--home",
    type=PATH,
    help="The site's folder.",
    default=lambda: settings().home / "site",
    show_default="~/.atoll/site",
)
@with_output
def score(out: Output, model: Path, dataset: str, threshold: float, home: Path) -> None:
    """Keep a screening list: person, risk, the three strongest reasons. It stays in the site's folder.

    MODEL is a released result (JSON), as `atoll study results --output` or the hub's page gives it.
    """
    from atoll.site.home import Home
    from atoll.site.screening import keep_list

    kept = keep_list(Home(home), dataset, read_model(model), threshold)
    out.result({"list": str(kept.path), "scored": kept.scored, "listed": kept.listed, "threshold": threshold})
    out.say(f"{kept.listed:,} of {kept.scored:,} people have a risk of {threshold:.0%} or more.")
    out.say(f"The list, for this hospital only: {kept.path}")


def read_model(path: Path) -> Any:
    """The model in a result's file."""
    from atoll.study.view import Model

    try:
        document = json.loads(path.read_text("utf-8"))
        return Model.from_document(document.get("model") or document)
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{path} holds no model.", "Give the JSON of a fitted glm.") from error
