"""docs/errors.md lists every exit code and every code that a hospital may send."""

import inspect
from pathlib import Path

from atoll import errors
from atoll.cli import output

TEXT = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")


def test_every_exit_code_is_listed():
    for found in vars(errors).values():
        if inspect.isclass(found) and issubclass(found, errors.AtollError) and found is not errors.AtollError:
            assert f"| {found.exit_code} | {found.actor} | {inspect.getdoc(found).splitlines()[0]} |" in TEXT
    for code in (0, 2, output.FAULT, output.INTERRUPTED):
        assert f"| {code} |" in TEXT


def test_every_code_of_the_catalogue_is_listed():
    for code, (actor, sentence) in errors.CATALOGUE.items():
        assert f"| `{code}` | {actor} | {sentence} | {errors.REMEDIES[code]} |" in TEXT


def test_every_code_of_the_hub_is_listed():
    for code, (kind, sentence) in errors.HUB_CODES.items():
        assert f"| `{code}` | {kind.exit_code} | {kind.actor} | {sentence} |" in TEXT
