"""`atoll demo`: a hub and five hospitals on this machine, from nothing to an answer."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from atoll.cli.output import Output, with_output
from atoll.settings import settings


@click.command()
@click.option("--once", is_flag=True, help="End when everything is done (also when CI is set).")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-run"), show_default=True,
    help="Where everything is kept; made anew each time.",
)  # fmt: skip
@click.option("--exports", is_flag=True, help="The long way: five kinds of export, to OMOP, to a cohort, to a model.")
@click.option("--scale", type=click.FloatRange(0.02, 10), default=1.0, show_default=True, help="Size of the hospitals.")
@with_output
def demo(out: Output, once: bool, folder: Path, exports: bool, scale: float) -> None:
    """Five hospitals, one question, one command."""
    from atoll.demo.exports import PERSONS, ExportsDemo
    from atoll.demo.run import Demo

    def table(heads: list[str], rows: list[list[str]]) -> None:
        out.table([f"   {heads[0]}", *heads[1:]], [[f"   {row[0]}", *row[1:]] for row in rows])

    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the shell had it ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    running: Demo | ExportsDemo
    if exports:
        running = ExportsDemo(folder.resolve(), out.say, table, round(PERSONS * scale))
    else:
        running = Demo(folder.resolve(), out.say, table, scale)
    try:
        running.run()
        out.result({"folder": str(running.folder), "page": running.page()} if out.as_json else None)
        out.say(f"\n   The page     {running.page()}   (token: {running.folder / 'token.txt'})")
        if not once and not settings().ci and not out.as_json:
            out.say("   Ctrl-C ends the demo; the folder stays.")
            running.stay()
    finally:
        running.programs.stop()
