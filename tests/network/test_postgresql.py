"""The hub over PostgreSQL: the same study, the same bits, also when the hub is killed."""

from __future__ import annotations

import pytest

from atoll.errors import OperatorError
from atoll.hub.database import HubStore
from tests.network.test_kills import run_and_kill
from tests.network.world import World


def test_a_run_over_postgresql_with_kills(tmp_path, nursery, database):
    world = World(nursery, tmp_path, store_url=database)
    try:
        run_and_kill(world, 4, 10, ["hub", "north"])
    finally:
        world.close()


def test_a_database_that_is_away_or_of_another_kind():
    with pytest.raises(OperatorError, match=r"The hub's store postgresql://atoll:\*\*\*@127.* cannot be opened"):
        HubStore("postgresql://atoll:secret@127.0.0.1:1/none")
    with pytest.raises(OperatorError, match=r"cannot be a 'mysql' database\. Give sqlite:///FILE or postgresql://"):
        HubStore("mysql://127.0.0.1/none")
