"""From the click to the answer: feasibility of a study over five hospitals with 200,000 persons together.

A hub and five sites as programs of their own; every steward gave a standing permission. The floor is one second, which
the issue names: there is no peer that asks before anyone signs.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

PERSONS, SITES = 200_000, ("delta", "hill", "lake", "north", "river")
COLUMNS = """\
datasets:
  checkup:
    columns:
      age: {type: number, unit: a, range: [0, 120]}
      sex: {type: category, levels: [female, male]}
      bmi: {type: number}
      hba1c: {type: number}
      y: {type: flag}
"""
MODEL = "  risk: {algorithm: glm, dataset: checkup, family: binomial, formula: 'y ~ age + C(sex) + bmi + hba1c'}\n"


def rows(repeats: int = 7) -> list[dict[str, object]]:
    """The first answer of a site that has just begun to serve, and those after it."""
    from tests.network.world import Nursery, World

    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        nursery = Nursery()
        world = World(nursery, Path(folder), SITES, roles=("centre", "hospital"))
        try:
            _register(world)
            world.start_sites()
            time.sleep(30)  # a site loads what answers when it begins, and not when somebody waits
            times = [_asked(world, number) for number in range(repeats)]
        finally:
            world.close()
            nursery.close()
    first, later = times[0], statistics.median(times[1:])
    what = f"feasibility of five sites, {PERSONS:,} persons"
    common = {"against": "1 s", "theirs": "1 s", "target": 1.0}
    return [
        {"what": f"{what}, first", "ours": f"{first:.2f} s", "ratio": first, "note": "all five answers", **common},
        {"what": f"{what}, later ones", "ours": f"{later:.2f} s", "ratio": later, "note": "median", **common},
    ]


def _register(world: object) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from atoll.site.datasets import Registry
    from atoll.site.standing import write_standing

    columns = world.study_of(COLUMNS, MODEL).study().datasets["checkup"]
    n = PERSONS // len(SITES)
    for number, home in enumerate(world.homes.values()):
        r = np.random.default_rng(number)
        hba1c = pa.array(np.where(r.random(n) < 0.3, np.nan, r.normal(5.6, 0.7, n).round(1)), from_pandas=True)
        table = {"age": r.normal(60, 10, n).round(), "sex": np.where(r.random(n) < 0.5, "female", "male")}
        table |= {"bmi": r.normal(25, 4, n).round(1), "hba1c": hba1c, "y": (r.random(n) < 0.1).astype(float)}
        pq.write_table(pa.table(table), home.folder / "checkup.parquet")
        store = home.store()
        Registry(home, store).add("checkup", str(home.folder / "checkup.parquet"), columns=columns)
        write_standing(home, store, 1_000)
        store.close()


def _asked(world: object, number: int) -> float:
    """Seconds from the click to the last hospital's answer, as `atoll.Hub.feasibility` asks."""
    from datetime import date

    from atoll import Hub
    from atoll.algorithms.planned import as_questions
    from atoll.governance.signatures import sign_study

    study = world.study_of(COLUMNS, MODEL, f"Feasibility {number}").study()
    hub = Hub(world.url, token=world.token, authority=world.hub_home.files.authority)
    begun = time.perf_counter()
    asked = [hub._submitted(sign_study(as_questions(study, site, date.today()), world.key)) for site in SITES]
    answers = [one.answers(time.monotonic() + 60) for one in asked]
    seconds = time.perf_counter() - begun
    assert all(isinstance(answer, dict) for answer in answers), answers
    return seconds
