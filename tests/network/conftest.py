"""Programs of their own for the network's tests."""

from __future__ import annotations

import pytest

from tests.network.world import Nursery, World


@pytest.fixture(scope="session")
def nursery():
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def world(tmp_path, nursery):
    world = World(nursery, tmp_path)
    yield world
    world.close()


@pytest.fixture
def hub(tmp_path, nursery):
    """A hub without sites."""
    world = World(nursery, tmp_path, sites=())
    yield world
    world.close()
