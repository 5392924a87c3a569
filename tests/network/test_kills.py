"""`kill -9` at any instant: nothing is lost, nothing is counted twice, and the result has the same bits."""

from __future__ import annotations

import random
import time

import pytest

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


@pytest.mark.soak
def test_everything_is_killed_500_times(world):
    run_and_kill(world, 3, 500, ["hub", "north", "river", "south"])
