"""Seeds never change: they are what makes a study repeatable, also by a later version."""

from __future__ import annotations

from hpo.seeds import DEFAULT_CONFIGURATION, drawn_as, lane_of_repeat, lane_seed, sampler_seed, split_seed, tpe_seed

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


def test_configurations_of_an_explanation_share_the_seeds_of_a_repeat() -> None:
    lanes = [[lane_of_repeat(number, repeat) for number in (-2, -3, -100)] for repeat in (1, 2)]
    assert len({lane for row in lanes for lane in row}) == 6
    assert [len({drawn_as(lane) for lane in row}) for row in lanes] == [1, 1]
    assert drawn_as(lanes[0][0]) != drawn_as(lanes[1][0])
    assert drawn_as(lanes[0][1]) == 2**32 + 2**32 - 2, "explanations would not be repeatable otherwise"
    others = [0, 7, 10**6, *(lane_of_repeat(number, 3) for number in (DEFAULT_CONFIGURATION, 0, 10**6))]
    assert [drawn_as(lane) for lane in others] == others
