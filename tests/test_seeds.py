"""Seeds never change: they are what makes a study repeatable, also by a later version."""

from __future__ import annotations

from hpo.seeds import lane_seed, sampler_seed, split_seed, tpe_seed

LANE = 1958104472028871518
SAMPLER = 2193740712
SPLIT = (3208377084, 858387032)
"""As the first versions computed them."""


def test_seeds_are_what_they_always_were() -> None:
    assert lane_seed("order", 0, 1, 0, 2) == LANE
    assert sampler_seed(3, 7) == SAMPLER
    assert tpe_seed(3, 7, 1) == (3, 7, 1)
    assert (split_seed(0, "test"), split_seed(0, "validation")) == SPLIT


def test_no_two_draws_share_a_seed() -> None:
    lanes = {lane_seed(p, 0, n) for p in ("init", "order", "dropout") for n in range(1000)}
    assert len(lanes) == 3000
    assert split_seed(0, "test") != split_seed(0, "validation")
