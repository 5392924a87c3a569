"""Every place that a command is told to write to: a bad one is said in a sentence before the work, never a fault."""

from __future__ import annotations

import socket
from pathlib import Path

import click
import pytest

from atoll.cli.main import atoll
from atoll.cli.targets import Target, guard
from atoll.cli.terms import SUGGESTED
from atoll.errors import OperatorError
from tests.ingest.exports import MAPPING, SEX, write


def commands(group=atoll, context=None, path=()):
    context = context or click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, context, (*path, name))
        else:
            yield (*path, name), command


TARGETS = [
    pytest.param(command, param, id=f"{' '.join(words)} {param.opts[0]}")
    for words, command in commands()
    for param in command.params
    if isinstance(param.type, Target)
]


@pytest.mark.parametrize(("command", "param"), TARGETS)
def test_no_command_begins_that_could_not_write_at_its_end(command, param, tmp_path):
    (tmp_path / "file").write_text("x")
    for bad in (tmp_path / "file" / "out", Path("/proc/out"), tmp_path / "none" / "out"):
        context = click.Context(command)
        context.params = {param.name: bad}
        with context, pytest.raises(OperatorError, match="cannot be written"):
            guard(context)
    with pytest.raises(click.BadParameter):
        param.type.convert(str(tmp_path), param, click.Context(command))  # a folder as the file


@pytest.fixture
def place(tmp_path):
    write(tmp_path / "export")
    (tmp_path / "river.yaml").write_text(MAPPING)
    (tmp_path / "sex.csv").write_text(SEX)
    (tmp_path / "file").write_text("x")
    return tmp_path


def run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        atoll.main([str(word) for word in words])
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize("bad", ["{place}/file/x", "/proc/x"])
@pytest.mark.parametrize(
    "words",
    [
        "load {place}/river.yaml --from {place}/export --cdm duckdb:///{bad}",
        "load {place}/river.yaml --from {place}/export --cdm spark:local?folder={bad}",
        "mapping propose --from {place}/export --out {bad}.yaml",
        "simulate {bad} --persons 10 --hospitals 1 --shapes none",
        "cdm create duckdb:///{bad}",
        "site init --home {bad}",
        "study new {bad}.yaml",
    ],
)
def test_a_place_that_cannot_be_is_a_sentence(place, capsys, words, bad):
    bad = bad.format(place=place)
    code, said = run(capsys, *(word.format(place=place, bad=bad) for word in words.split()))
    assert code not in (0, 70), said
    assert "fault of Atoll" not in said


def test_a_database_is_no_folder(place, capsys):
    words = ["load", place / "river.yaml", "--from", place / "export", "--cdm", f"duckdb:///{place}"]
    code, said = run(capsys, *words)
    assert code not in (0, 70) and "DuckDB" in said


def test_a_draft_is_refused_before_the_export_is_read(place, capsys):
    code, said = run(capsys, "mapping", "propose", "--from", place / "export", "--out", place / "file" / "x.yaml")
    assert code == OperatorError.exit_code
    assert "a file stands in the place of a folder" in said and "propose:" not in said


def test_a_port_that_is_taken(place, capsys):
    (place / "suggested.csv").write_text(",".join(SUGGESTED) + "\nSodium,1,3019550,0.9,names\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["terms", "review", place / "suggested.csv", "--journal", place / "j.jsonl", "--reviewer", "ana"]
        code, said = run(capsys, *words, "--page", "--port", port)
    assert code == OperatorError.exit_code, said
    assert "--port" in said


def test_more_threads_than_can_be(place, capsys):
    (place / "c.duckdb").touch()
    code, said = run(capsys, "quality", "run", "--cdm", f"duckdb:///{place}/c.duckdb", "--threads", 99999)
    assert (code, "from 1 to 1,024" in said) == (OperatorError.exit_code, True)
