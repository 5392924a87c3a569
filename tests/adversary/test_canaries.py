"""Fifty patients with unmistakable names and values: whatever runs or fails, none of them is seen outside.

Shares, outcomes, ledgers, exceptions with their causes, log records, results: all is searched for their words,
and for their numbers in every form in which bytes hold a number.
"""

from __future__ import annotations

import logging
import struct

import numpy as np
import pytest

import atoll
from atoll.algorithms import registry
from atoll.algorithms.program import Asked, program
from atoll.errors import AtollError
from atoll.local import DATASET
from atoll.site.runner import Permit
from atoll.study.dictionary import Column
from tests.conformance import world as teaching

R = np.random.default_rng(50)
N, CANARIES = 500, 50
NAMES = [f"Kanarienvogel-{i:02d}-金丝雀" for i in range(CANARIES)]
IDS = [90071992547409930 + 17 * i for i in range(CANARIES)]
VALUES = [87654.321 + i * 1.0009765625 for i in range(CANARIES)]  # far outside every other value
WORDS = [word.encode() for word in NAMES] + [str(value).encode() for value in IDS]
NUMBERS = [struct.pack(form, value) for value in VALUES for form in ("<d", ">d")]
NUMBERS += [repr(value).encode() for value in VALUES] + [
    struct.pack(f, i) for i in IDS for f in ("<q", ">q", "<d", ">d")
]

COLUMNS = {
    "age": Column("number", unit="a"),
    "cost": Column("number", low=0.001, high=1e6),
    "sex": Column("category", levels=("f", "m")),
    "ward": Column("category"),
    "t": Column("number", unit="d"),
    "e": Column("flag"),
    "y": Column("flag"),
    "id": Column("person"),
    "seen": Column("date"),
}


def table(seed):
    r = np.random.default_rng(seed)
    return {
        "age": r.normal(60, 10, N),
        "cost": np.concatenate([VALUES, r.gamma(2, 50, N - CANARIES)]),
        "sex": r.choice(["f", "m"], N),
        "ward": np.array(NAMES + ["ward"] * (N - CANARIES)),
        "t": np.concatenate([VALUES, np.ceil(r.exponential(500, N - CANARIES))]),
        "e": (r.random(N) < 0.5) * 1.0,
        "y": (r.random(N) < 0.5) * 1.0,
        "id": np.array(IDS + list(range(N - CANARIES))),
        "seen": np.full(N, np.datetime64("2024-01-31")),
    }


TABLES = {"north": table(1), "river": table(2)}
MODEL = {"terms": ["Intercept", "age", "cost"], "coefficients": [0.1, 0.001, 0.0], "link": "logit"}
RISK = {"enters": "age", "leaves": "t", "born": "age", "event": "e", "by": "sex", "since": 1970, "until": 1975}
RUNS = [
    ("glm", {"formula": "y ~ age + sex + log(cost)", "family": "binomial"}),
    ("glm", {"formula": "cost ~ age * sex", "robust": "HC0"}),
    ("glm", {"formula": "cost ~ age", "family": "gamma", "robust": "site"}),
    ("glm", {"formula": "y ~ bs(age, df=4) + scale(age)", "family": "binomial"}),
    ("glm", {"formula": "y ~ bs(cost, df=4)", "family": "binomial"}),
    ("glm", {"formula": "y ~ ward", "family": "binomial"}),
    ("glm", {"formula": "y ~ C(ward)", "family": "poisson"}),
    ("glm", {"formula": "y ~ C(cost)"}),
    ("glm", {"formula": "y ~ log(age - 60)", "family": "binomial"}),
    ("glm", {"formula": "ward ~ age"}),
    ("glm", {"formula": "y ~ id"}),
    ("glm", {"formula": "y ~ seen"}),
    ("glm", {"formula": "cost ~ age", "family": "binomial"}),
    ("glm", {"formula": "y ~ age", "offset": "cost", "family": "poisson"}),
    ("cox", {"formula": "age + sex", "time": "t", "event": "e"}),
    ("cox", {"formula": "age", "time": "cost", "event": "e", "strata": ["site", "sex"]}),
    ("cox", {"formula": "age", "time": "t", "event": "e", "strata": [], "grid": [365.0, 1000.0]}),
    ("cox", {"formula": "age", "time": "t", "event": "cost"}),
    ("cox", {"formula": "age", "time": "t", "event": "e", "strata": ["ward"], "grid": [365.0]}),
    ("kaplan_meier", {"time": "t", "event": "e", "times": [365.0, 730.0], "by": "sex"}),
    ("kaplan_meier", {"time": "t", "event": "e", "times": [1.0, 2.0]}),
    ("kaplan_meier", {"time": "t", "event": "e", "times": [365.0], "by": "ward"}),
    ("kaplan_meier", {"time": "ward", "event": "e", "times": [365.0]}),
    ("describe", {"columns": ["age", "cost", "sex", "y", "t"]}),
    ("describe", {"columns": ["ward"]}),
    ("describe", {"columns": ["id"]}),
    ("describe", {"columns": ["seen"]}),
    ("attrition", {"columns": ["e", "y"]}),
    ("attrition", {"columns": ["y"], "by_site": False}),
    ("attrition", {"columns": ["ward"]}),
    ("feasibility", {"columns": ["e", "y"], "happened": "y"}),
    ("comparability", {"columns": ["age", "cost", "sex", "y", "t"]}),
    ("comparability", {"columns": ["ward"]}),
    ("breakdown", {"column": "sex"}),
    ("breakdown", {"column": "ward"}),
    ("overlap", {"first": "e", "second": "y"}),
    ("durations", {"columns": ["t", "cost"]}),
    ("durations", {"columns": ["ward"]}),
    ("incidence", RISK),
    ("incidence", RISK | {"enters": "cost", "by": "ward"}),
    ("performance", {"model": MODEL, "outcome": "y"}),
    ("performance", {"model": MODEL, "outcome": "cost"}),
    ("performance", {"model": MODEL | {"coefficients": [-4e6, 0.0, 50.0]}, "outcome": "y"}),
]


def taught(seed):
    """The table of every algorithm's `EXAMPLES`; its numbers are unmistakable by their last digits."""
    table = teaching.world(seed)
    for name, column in teaching.COLUMNS.items():
        if column.type == "number":
            table[name] = table[name] + np.random.default_rng(seed).uniform(1e-9, 1e-7, len(table[name]))
    return table


TAUGHT = {"north": taught(1), "river": taught(2)}
FEW = 40  # patients of each hospital whose numbers are looked for
TAUGHT_NUMBERS = [
    number
    for table in TAUGHT.values()
    for name, column in teaching.COLUMNS.items()
    if column.type == "number"
    for value in table[name][:FEW].tolist()
    for number in (struct.pack("<d", value), struct.pack(">d", value), repr(value).encode())
]


class Everything:
    """What was seen outside, as bytes."""

    def __init__(self):
        self.seen: list[bytes] = []

    def add(self, value):
        self.seen.append(value if isinstance(value, bytes) else str(value).encode())

    def add_error(self, error):
        while error is not None:
            self.add(f"{error!r} {error} {vars(error)}")
            error = error.__cause__ or error.__context__

    def canaries(self, numbers=True):
        return self.found(WORDS + (NUMBERS if numbers else []))

    def found(self, looked_for):
        text = b"\n".join(self.seen)
        return [canary for canary in looked_for if canary in text]


def remembering(network, seen):
    """The network's ledgers remember every byte that left, and every word beside it."""
    for departures in network.departures.values():
        real = departures.append

        def append(place, *, real=real, **facts):
            seen.add(facts["payload"])
            seen.add(facts)
            seen.add(place)
            real(place, **facts)

        departures.append = append
    return network


def run(name, options, caplog, policy="strict", tables=TABLES, columns=COLUMNS):
    seen = Everything()
    network = remembering(atoll.Network(tables, policy=policy, columns=columns, threads=1), seen)
    with caplog.at_level(logging.DEBUG):
        try:
            result = network.run(name, **options)
            seen.add(result.to_json())
            seen.add(result.summary())
            seen.add(repr(result.document))
        except AtollError as error:
            seen.add_error(error)
    for record in caplog.records:
        seen.add(f"{record.getMessage()} {record.args} {record.exc_text}")
        if record.exc_info:
            seen.add_error(record.exc_info[1])
    assert seen.seen
    return seen


@pytest.mark.parametrize(("name", "options"), RUNS, ids=range(len(RUNS)))
def test_no_canary_is_seen_outside(name, options, caplog):
    assert run(name, options, caplog).canaries() == []


@pytest.mark.parametrize(("name", "options"), [RUNS[i] for i in (0, 1, 14, 23)])
def test_no_id_and_no_name_leaves_public_data_unasked(name, options, caplog):
    assert run(name, options, caplog, "public").canaries(numbers=False) == []


@pytest.mark.parametrize("name", registry.names())
def test_no_number_of_a_patient_is_seen_outside_whatever_an_algorithm_computes(name, caplog):
    """A new file is enrolled by its examples; one of them at least must be answered, or the search proves nothing."""
    shares = 0
    for options in registry.module(name).EXAMPLES:
        seen = run(name, options, caplog, tables=TAUGHT, columns=teaching.COLUMNS)
        assert seen.found(TAUGHT_NUMBERS) == [], options
        shares += sum(b"'decision': 'left'" in entry for entry in seen.seen)
    assert shares > 0


def test_the_search_finds_a_number_of_the_examples_where_there_is_one(caplog):
    options = {"time": "t", "event": "e"}
    assert run("kaplan_meier", options, caplog, "public", TAUGHT, teaching.COLUMNS).found(TAUGHT_NUMBERS)


def test_the_search_finds_a_canary_where_there_is_one(caplog):
    """Exact times of public data do leave: the search must see them."""
    found = run("kaplan_meier", {"time": "t", "event": "e"}, caplog, "public").canaries()
    assert len(found) >= CANARIES


@pytest.mark.parametrize("where", ["column", "beta", "table", "question"])
def test_a_fault_inside_a_site_shows_nothing(where, caplog, monkeypatch):
    """Whatever breaks: the message of an exception may hold a value, and stays inside."""
    seen = Everything()
    network = remembering(atoll.Network(TABLES, columns=COLUMNS, threads=1), seen)
    question = next(
        program(Asked("glm", {"formula": "y ~ age + sex", "family": "binomial"}, COLUMNS, network.sites, False))
    )
    permit = Permit("glm", DATASET, COLUMNS, network.sites)

    def fails(*_, **__):
        raise RuntimeError(f"cannot convert {NAMES[3]} {VALUES[3]!r} {IDS[3]}")

    place = {
        "column": "atoll.features.table.Batch.column",
        "beta": "atoll.algorithms.glm._behind",
        "table": "atoll.features.table.MemoryTable.batches",
        "question": "atoll.site.runner.decode_question",
    }[where]
    monkeypatch.setattr(place, fails)
    with caplog.at_level(logging.DEBUG), pytest.raises(AtollError) as caught:
        network._ask(question, permit, 0)
    seen.add_error(caught.value)
    for record in caplog.records:
        seen.add(record.getMessage())
        assert record.exc_info is None, "a traceback would hold the message"
    assert caught.value.code == "SITE_FAILED"
    assert seen.canaries() == []
