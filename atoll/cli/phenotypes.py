"""`atoll phenotypes …`: the library of definitions, in words, as JSON, and against a known truth."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import click

from atoll.cli.output import AtollGroup, Output, with_language, with_output

if TYPE_CHECKING:
    from atoll.knowledge.library import Figure, Phenotype

Language = Literal["en", "zh"]
HEADINGS = {
    "en": ("version", "intent", "sources", "known limits", "on a simulated hospital", "no truth",
           "sensitivity {}, PPV {} ({:,} persons)"),
    "zh": ("版本", "用途", "来源", "已知局限", "在模拟医院上", "无真值", "灵敏度 {}，阳性预测值 {}（{:,}人）"),
}  # fmt: skip
COLUMNS = {
    "en": ("name", "title", "true", "sensitivity", "PPV"),
    "zh": ("名称", "标题", "真实人数", "灵敏度", "阳性预测值"),
}


@click.group(cls=AtollGroup)
def phenotypes() -> None:
    """A library of cohort definitions for screening and chronic care, with sources, limits and figures."""


@phenotypes.command("list", epilog="Example: atoll phenotypes list --language zh")
@with_language
@with_output
def list_(output: Output, language: Language) -> None:
    """All phenotypes, with sensitivity and positive predictive value on a simulated hospital."""
    from atoll.knowledge.library import figures, names, phenotype

    entries = [phenotype(name) for name in names()]
    measured = figures()
    output.result([_entry(one, measured.get(one.name)) for one in entries])
    rows = []
    for one in entries:
        figure = measured.get(one.name)
        rows.append((one.name, one.title[language], figure.true if figure else "", *_shares(figure, language)))
    output.table(COLUMNS[language], rows)


@phenotypes.command(epilog="Example: atoll phenotypes show type_2_diabetes --circe > type_2_diabetes.json")
@click.argument("name")
@click.option("--circe", is_flag=True, help="Print the definition itself, as ATLAS imports it.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the definition itself, as a person can change it.")
@with_language
@with_output
def show(output: Output, name: str, language: Language, circe: bool, as_yaml: bool) -> None:
    """One phenotype: what it is for, its sources and limits, and everything that its definition does."""
    from atoll.knowledge.library import figures, phenotype
    from atoll.study.circe import written as as_circe
    from atoll.study.circe.as_yaml import written
    from atoll.study.circe.text import explain

    one = phenotype(name)
    if circe or as_yaml:
        output.as_json = False
        definition = one.definition(language)
        output.say((written(definition) if as_yaml else as_circe(definition)).rstrip())
        return
    text = explain(one.definition(language), language).rstrip()
    figure = figures().get(name)
    output.result(_entry(one, figure) | {"text": text}, "\n".join([*_head(one, figure, language), "", text]))


def _head(one: Phenotype, figure: Figure | None, language: Language) -> list[str]:
    version, intent, sources, limits, measured, no_truth, told = HEADINGS[language]
    shares = told.format(*_shares(figure), figure.persons) if figure else no_truth
    return [
        f"{one.title[language]} ({one.name}), {version} {one.version}",
        f"{intent}: {one.intent[language]}",
        f"{sources}:",
        *(f"  - {line}" for line in one.sources),
        f"{limits}:",
        *(f"  - {line}" for line in one.limits[language]),
        f"{measured}: {shares}",
    ]


@phenotypes.command(epilog="Example: atoll phenotypes test type_2_diabetes gout")
@click.argument("name", nargs=-1)
@click.option("--cdm", metavar="URL", help="Count persons in this OMOP CDM instead; it holds no truth.")
@click.option("--persons", default=30_000, show_default=True, type=click.IntRange(100), help="Persons to simulate.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same hospital.")
@with_output
def test(output: Output, name: tuple[str, ...], cdm: str | None, persons: int, seed: int) -> None:
    """Run phenotypes on a simulated hospital and compare with the truth: sensitivity and predictive value."""
    from atoll.knowledge.library import names, phenotype
    from atoll.simulate.phenotypes import found_in, judge

    entries = [phenotype(one) for one in dict.fromkeys(name or names())]
    if cdm is not None:
        found = found_in(entries, cdm)
        output.result([{"name": one.name, "found": len(found[one.name]), "truth": None} for one in entries])
        output.table(("name", "found", "truth"), [(one.name, len(found[one.name]), "no truth") for one in entries])
        return
    measured = {figure.name: figure for figure in judge(entries, persons, seed)}
    output.result([_entry(one, measured.get(one.name))["figure"] | {"name": one.name} for one in entries])
    rows = []
    for one in entries:
        figure = measured.get(one.name)
        counts = (figure.true, figure.found, figure.both) if figure else ("", "", "")
        rows.append((one.name, *counts, *_shares(figure)))
    output.table(("name", "true", "found", "both", "sensitivity", "PPV"), rows)
    output.note("2 in 100 persons without a disease have it written down once, wrongly: an assumption, no measurement.")


def _entry(one: Phenotype, figure: Figure | None) -> dict[str, Any]:
    told = asdict(figure) | {"sensitivity": figure.sensitivity, "ppv": figure.ppv} if figure else {"truth": None}
    return asdict(one) | {"figure": told}


def _shares(figure: Figure | None, language: Language = "en") -> tuple[str, str]:
    if figure is None:
        return HEADINGS[language][5], ""
    sensitivity, ppv = ("–" if share is None else f"{share:.2f}" for share in (figure.sensitivity, figure.ppv))
    return sensitivity, ppv
