"""The process that opens hostile files, and the good files they are made of; started once."""

import pytest

__all__ = ["good", "harness", "hostile_top"]


@pytest.fixture(scope="session")
def hostile_top(tmp_path_factory):
    """The folder of good files, benign ones and the canary."""
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="session")
def good(hostile_top):
    """The files that are made hostile."""
    from tests.saving.hostile.rows import Good

    (hostile_top / "good").mkdir()
    return Good(hostile_top / "good")


@pytest.fixture(scope="session")
def harness(hostile_top, good):
    """The process that opens the files."""
    from tests.saving.hostile.harness import Canary, Harness
    from tests.saving.hostile.rows import BENIGN

    (hostile_top / "benign").mkdir()
    running = Harness(Canary(hostile_top / "canary"), BENIGN(good, hostile_top / "benign"))
    yield running
    running.close()
