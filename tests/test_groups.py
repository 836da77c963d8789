"""Tests that share costly work are marked as a group, which the test runner keeps in one worker."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="there is one process only")
@pytest.mark.xdist_group("here")
def test_a_group_stays_in_one_worker(request: pytest.FixtureRequest) -> None:
    """pytest-xdist adds the group's name to the test's; versions of pytest that do not fit to it drop it without a word."""
    assert request.node.nodeid.endswith("@here")
