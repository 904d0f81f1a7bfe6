"""Changes to sequences, tables and texts do what their keys say, and nothing beside."""

from __future__ import annotations

import torch
from torch import Tensor

from hpo.signature import Signature
from hpo.training.augment import values, words
from tests.training.augment.portions import SEQUENCES, TABLES, images, portion


def sequences(steps: int, lanes: int, batch: int) -> Tensor:
    """Of 1 to 9 steps, with padding and mask."""
    lengths = torch.arange(batch) % 9 + 1
    mask = (torch.arange(9) < lengths.unsqueeze(1)).double().expand(steps, lanes, batch, 9)
    steps_SKBTC = (images(steps, lanes, batch, 9, 2) + 1) * mask.unsqueeze(-1)
    return torch.cat([steps_SKBTC.flatten(3), mask], dim=3)


def rows(steps: int, lanes: int, batch: int) -> Tensor:
    """Values, a code, and texts of 1 to 6 words with unknown ones."""
    table = images(steps, lanes, batch, 5) + 1
    code = torch.full((steps, lanes, batch, 1), 3.0, dtype=torch.float64)
    place = torch.arange(6)
    tokens = torch.where(place < torch.arange(batch).unsqueeze(1) % 6 + 1, place + 1, 0).double()
    return torch.cat([table, code, tokens.expand(steps, lanes, batch, 6)], dim=3)


def test_noise_is_normal_with_the_deviation_of_its_lane() -> None:
    x = images(3, 3, 300, 1, 8, 8)
    added = values.noise(portion(x, Signature.of_values(1, 8, 8), noise=[0.5, 2.0, 0.01])) - x
    for lane, deviation in enumerate((0.5, 2.0, 0.01)):
        drawn = added[:, lane].flatten() / deviation
        assert abs(drawn.mean()) < 0.02
        assert abs(drawn.std() - 1) < 0.02
        for bound, share in ((1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)):
            assert abs((drawn.abs() < bound).double().mean() - share) < 0.005
    one, other = added[0, 0, 0].flatten(), added[0, 0, 1].flatten()
    assert not torch.equal(one, other), "each example has its own"


def test_noise_leaves_padding_indicators_and_words_alone() -> None:
    x = sequences(2, 1, 18)
    found = values.noise(portion(x, SEQUENCES, noise=[1.0]))
    assert (found != x)[..., :18][x[..., :18] != 0].all()
    assert torch.equal(found[x == 0], x[x == 0])
    assert torch.equal(found[..., 18:], x[..., 18:])
    x = rows(2, 1, 18)
    found = values.noise(portion(x, TABLES, noise=[1.0]))
    assert (found[..., :2] != x[..., :2]).all()
    assert torch.equal(found[..., 2:], x[..., 2:])


def test_a_sequence_is_multiplied_by_one_factor() -> None:
    x = sequences(2, 2, 90)
    found = values.amplify(portion(x, SEQUENCES, scale=[0.5, 0.1]))
    assert torch.equal(found[..., 18:], x[..., 18:])
    factors = found[..., :1] / x[..., :1]
    assert torch.allclose(found[..., :18], x[..., :18] * factors)
    for lane, scale in enumerate((0.5, 0.1)):
        assert 0.8 * scale < (factors[:, lane] - 1).abs().max() <= scale
        assert abs((factors[:, lane] - 1).mean()) < scale / 5


def test_a_time_mask_hides_a_run_of_real_steps() -> None:
    x = sequences(4, 2, 900)
    found = values.time_mask(portion(x, SEQUENCES, time_mask=[0.5, 1.0]))
    assert torch.equal(found[..., 18:], x[..., 18:])
    real = x[..., 18:] == 1
    hidden = real & (found[..., :18].unflatten(-1, (9, 2)) == 0).all(-1)
    kept = found[..., :18].unflatten(-1, (9, 2))[~hidden]
    assert torch.equal(kept, x[..., :18].unflatten(-1, (9, 2))[~hidden])
    turns = torch.diff(hidden.int(), dim=-1, prepend=torch.zeros(4, 2, 900, 1, dtype=torch.int)).clamp(min=0).sum(-1)
    assert turns.max() == 1, "one run"
    lengths, runs = real.sum(-1), hidden.sum(-1)
    for lane, share in enumerate((0.5, 1.0)):
        for length in range(1, 10):
            seen = runs[:, lane][lengths[:, lane] == length]
            assert set(seen.tolist()) == set(range(int(share * length) + 1))
    assert hidden[:, 0][lengths[:, 0] == 9].any(0).all(), "at any place"


def test_sequences_of_one_length_have_no_mask() -> None:
    x = images(2, 1, 200, 9, 2) + 1
    found = values.time_mask(portion(x, Signature.of_values(9, 2), time_mask=[0.4]))
    hidden = (found == 0).all(-1)
    assert torch.equal(found[~hidden], x[~hidden])
    assert set(hidden.sum(-1).flatten().tolist()) == {0, 1, 2, 3}


def test_a_lost_feature_loses_all_its_columns() -> None:
    x = rows(3, 2, 500)
    found = values.feature_dropout(portion(x, TABLES, feature_dropout=[0.2, 0.6]))
    lost = found[..., :6] == 0
    assert torch.equal(found[..., :6][~lost], x[..., :6][~lost])
    assert torch.equal(found[..., 6:], x[..., 6:])
    assert torch.equal(lost[..., 0], lost[..., 2])
    assert torch.equal(lost[..., 3], lost[..., 4])
    for column in (0, 1, 3, 5):
        for lane, share in enumerate((0.2, 0.6)):
            assert abs(lost[:, lane, :, column].double().mean() - share) < 0.05
    assert not torch.equal(lost[..., 0], lost[..., 1])


def test_lost_words_become_unknown_and_padding_stays() -> None:
    x = rows(3, 2, 900)
    found = words.word_dropout(portion(x, TABLES, word_dropout=[0.1, 0.7]))
    before, after = x[..., 6:], found[..., 6:]
    assert torch.equal(found[..., :6], x[..., :6])
    assert torch.equal(after[before < 2], before[before < 2])
    known, lost = before >= 2, (before >= 2) & (after == 1)
    assert torch.equal(after[known & ~lost], before[known & ~lost])
    for lane, share in enumerate((0.1, 0.7)):
        assert abs(lost[:, lane].sum() / known[:, lane].sum() - share) < 0.02
