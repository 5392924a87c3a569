"""`make docs`: regenerate what the manual takes from the code. Tests hold that it is up to date.

docs/commands.md   the help of every command
docs/states.md     the state diagrams
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from atoll.cli.main import atoll
from atoll.governance.states import RUN, STUDY, mermaid

HEAD = """\
# Commands

Every command takes `--json` (one document on standard output) and `--help`. Errors are sentences on standard error;
[errors.md](errors.md) lists the exit codes. This page is made by `make docs`.
"""


def commands() -> str:
    """The help of every command, in the order of the groups."""
    parts = [HEAD]

    def visit(command: click.Command, path: str, parent: click.Context | None) -> None:
        context = click.Context(command, info_name=path.rpartition(" ")[2], parent=parent, max_content_width=100,
                                help_option_names=["-h", "--help"])  # fmt: skip
        context.terminal_width = 100
        command._help_option = None  # made by an earlier call, perhaps with other names
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                visit(found, f"{path} {name}", context)
        else:
            parts.append(f"## {path}\n\n```\n{command.get_help(context).strip()}\n```\n")

    visit(atoll, "atoll", None)
    return "\n".join(parts)


def states(text: str) -> str:
    """The page on states with today's diagrams."""
    diagrams = iter([mermaid(STUDY), mermaid(RUN)])
    return re.sub(r"```mermaid\n.*?\n```", lambda _: f"```mermaid\n{next(diagrams)}\n```", text, flags=re.DOTALL)


def main() -> None:
    """Write the pages."""
    (ROOT / "docs" / "commands.md").write_text(commands(), encoding="utf-8")
    page = ROOT / "docs" / "states.md"
    page.write_text(states(page.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
