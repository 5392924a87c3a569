"""The `atoll` command: a table of subcommands, each imported only when it is called."""

from __future__ import annotations

import click

from atoll.cli.output import AtollGroup

COMMANDS = {
    "study": ("atoll.cli.study:study", "Write, check, explain, sign and submit a study."),
    "run": ("atoll.cli.run:run", "Run a study in this process, over tables on this machine."),
    "feasibility": (
        "atoll.cli.feasibility:feasibility",
        "How many patients a planned study would have, before it is signed.",
    ),
    "site": ("atoll.cli.site:site", "A hospital's node: its data, its approvals, its ledger."),
    "hub": ("atoll.cli.hub:hub", "The centre: invitations, runs and results."),
    "source": ("atoll.cli.source:source", "Look at a hospital's export before it is mapped."),
    "mapping": ("atoll.cli.mapping:mapping", "Draft, check, explain and compare mappings to OMOP."),
    "terms": ("atoll.cli.terms:terms", "Candidates among standard concepts for a hospital's names, and their review."),
    "vocabulary": ("atoll.cli.vocabulary:vocabulary", "The vocabularies that codes are looked up in."),
    "load": ("atoll.cli.load:load", "Load an export into the OMOP model."),
    "cdm": ("atoll.cli.cdm:cdm", "OMOP databases: create, describe, validate."),
    "quality": ("atoll.cli.quality:quality", "How good the data are: checks that a hospital runs itself."),
    "cohort": ("atoll.cli.cohort:cohort", "Circe definitions: find their persons, read them in words."),
    "concepts": ("atoll.cli.concepts:concepts", "Concept sets, resolved by a hospital's own vocabulary."),
    "phenotypes": ("atoll.cli.phenotypes:phenotypes", "A library of cohort definitions with sources and figures."),
    "features": ("atoll.cli.features:features", "What is known of each person of a cohort, as a table for analyses."),
    "simulate": ("atoll.cli.simulate:simulate", "Simulated hospitals with a known truth, in five export shapes."),
    "recovered": ("atoll.cli.recovered:recovered", "How much of a simulated truth has arrived in an OMOP database."),
    "demo": ("atoll.cli.demo:demo", "A hub and five hospitals on this machine, from nothing to an answer."),
}


@click.group(cls=AtollGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="atoll", message="Atoll %(version)s")
def atoll() -> None:
    """Hospitals answer one question together; no patient row leaves any of them."""


def main() -> None:
    """Run the command that was typed, and end the process with its exit code."""
    atoll.main(prog_name="atoll")
