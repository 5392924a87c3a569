"""`kill -9` at any instant: nothing is lost, nothing is counted twice, and the result has the same bits."""

from __future__ import annotations

import random
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atoll.local import run_study
from atoll.site.datasets import Registry
from tests.network.world import World, check_books, undisturbed

KILLS = 50
ROUNDS = 150


def run_and_kill(world: World, seed: int, kills: int, victims: list[str]) -> None:
    """Kill one of the victims at a random instant, start it again, as often as asked, in one run after another."""
    rng = random.Random(seed)
    killed = finished = 0
    world.start_sites()
    while killed < kills:
        study, (run,) = world.submit(world.signed({"many": {"rounds": ROUNDS}}, title=f"Toy {finished}"))
        world.approve_all(study)
        while killed < kills and world.run(run)["state"] in ("waiting", "running"):
            time.sleep(rng.uniform(0.0, 0.15))
            program = world.programs.get(rng.choice(victims), world.hub)
            program.kill()
            assert program.start(), program.log()
            killed += 1
        assert world.wait_for(run, "finished", "failed", "stopped")["state"] == "finished"
        assert world.result(run)["hex"] == undisturbed(world, ROUNDS)
        check_books(world, run, ROUNDS)
        finished += 1


def test_the_hub_is_killed_50_times(world):
    run_and_kill(world, 1, KILLS, ["hub"])


def test_sites_are_killed_50_times(world):
    run_and_kill(world, 2, KILLS, ["north", "river", "south"])


@pytest.fixture
def hospitals(tmp_path, nursery):
    """A hub with the installed algorithms, and sites with runner, gate and registered tables."""
    world = World(nursery, tmp_path, roles=("centre", "hospital"))
    yield world
    world.close()


def tables() -> dict[str, pa.Table]:
    """Persons of three hospitals, with a risk that grows with age."""
    made = {}
    for number, site in enumerate(("north", "river", "south")):
        r = np.random.default_rng(number)
        age, smoker = r.normal(60, 10, 4_000).round(1), (r.random(4_000) < 0.3).astype(float)
        y = (r.random(4_000) < 1 / (1 + np.exp(3 - age / 30 - 0.5 * smoker))).astype(float)
        made[site] = pa.table({"age": age, "smoker": smoker, "y": y})
    return made


TERMS = ("age", "I(age ** 2)", "I(age ** 3)", "sqrt(age)", "log(age + 1)", "abs(age - 50)")
MODELS = "\n".join(
    f"  model{number}: {{algorithm: glm, dataset: checkup, family: binomial, formula: 'y ~ smoker + {term}'}}"
    for number, term in enumerate(TERMS, 1)
)
PEOPLE = """\
datasets:
  checkup:
    columns:
      age: {type: number, unit: a, range: [0, 120]}
      smoker: {type: flag}
      y: {type: flag}
"""


def test_hub_and_hospitals_are_killed_while_models_are_fitted(hospitals):
    """The real runner over registered files: the same bits as in one process, and books that are whole."""
    rng, found = random.Random(4), tables()
    signed = hospitals.study_of(PEOPLE, MODELS)
    columns = signed.study().datasets["checkup"]
    for site, home in hospitals.homes.items():
        pq.write_table(found[site], home.folder / "checkup.parquet")
        store = home.store()
        Registry(home, store).add("checkup", str(home.folder / "checkup.parquet"), columns=columns)
        store.close()
    hospitals.start_sites()
    study, runs = hospitals.submit(signed)
    hospitals.approve_all(study)
    victims, killed = [hospitals.hub, *hospitals.programs.values()], 0
    open_ = ("waiting", "running")
    while killed < 15 and hospitals.wait_for(runs[-1], *open_, "finished", "failed")["state"] in open_:
        time.sleep(rng.uniform(0.0, 0.3))
        program = rng.choice(victims)
        program.kill()
        assert program.start(), program.log()
        killed += 1
    assert killed >= 3, "it was over before anyone was killed"
    expected = dict(run_study(signed.study(), found, threads=1))
    for run, name in zip(runs, expected, strict=True):
        assert hospitals.wait_for(run, "finished", "failed")["state"] == "finished"
        assert hospitals.result(run)["params"] == expected[name].document["params"].tolist()
        check_books(hospitals, run, hospitals.result(run)["rounds"])


@pytest.mark.soak
def test_everything_is_killed_500_times(world):
    run_and_kill(world, 3, 500, ["hub", "north", "river", "south"])
