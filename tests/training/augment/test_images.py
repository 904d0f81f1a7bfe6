"""Changes to images equal plain ones, image by image, and their strengths are bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from hpo.signature import Signature
from hpo.training.augment import images as changes
from tests.training.augment.portions import images, portion

SIGNATURE = Signature.of_values(2, 7, 9)


def test_move_equals_scipy_image_by_image() -> None:
    """Turned by the angle, enlarged by the factor, then shifted; linear between pixels, black outside."""
    x = images(2, 2, 5, 2, 7, 9)
    given = portion(x, SIGNATURE, -1.0, shift=[2.0, 0.5], rotate=[30.0, 90.0], scale=[0.3, 0.0])
    found = changes.move(given)
    drawn = given.uniform("move", 4) * 2 - 1
    middle = np.array([3.0, 4.0])
    for step, lane, example in np.ndindex(2, 2, 5):
        right, down, turn, grow = drawn[step, lane, example].tolist()
        shift = np.array([down, right]) * (2.0, 0.5)[lane]
        angle = math.radians(turn * (30.0, 90.0)[lane])
        factor = 1 + grow * (0.3, 0.0)[lane]
        back = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / factor
        for channel in range(2):
            image = x[step, lane, example, channel].numpy()
            expected = ndimage.affine_transform(
                np.pad(image, 9, constant_values=-1.0),
                back,
                offset=middle + 9 - back @ (middle + shift),
                output_shape=image.shape,
                order=1,
                mode="nearest",
            )
            moved = found[step, lane, example, channel].numpy()
            assert np.abs(moved - expected).max() < 2e-3, "angles are multiples of 360 / 65536 degrees"


def test_a_shift_of_whole_pixels_moves_them(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(1, 1, 1, 2, 7, 9)
    given = portion(x, SIGNATURE, 0.5, shift=[2.0])
    drawn = torch.tensor([1.0, 0.75, 0.5, 0.5], dtype=torch.float64).view(1, 1, 1, 4)  # 2 to the right, 1 down
    monkeypatch.setattr(type(given), "uniform", lambda *_: drawn.clone())
    moved = changes.move(given)[0, 0, 0]
    assert torch.allclose(moved[:, 1:, 2:], x[0, 0, 0, :, :-1, :-2], atol=1e-12)
    assert torch.allclose(moved[:, 0], torch.tensor(0.5).double())
    assert torch.allclose(moved[:, :, :2], torch.tensor(0.5).double())


def test_flip_mirrors_its_share_of_the_images() -> None:
    x = images(4, 3, 200, 2, 7, 9)
    found = changes.flip(portion(x, SIGNATURE, flip=[0.25, 1.0, 1e-9]))
    mirrored = (found == x.flip(-1)).flatten(3).all(-1)
    same = (found == x).flatten(3).all(-1)
    assert (mirrored ^ same).all()
    shares = mirrored.double().mean((0, 2))
    assert shares[1] == 1
    assert shares[2] == 0
    assert abs(shares[0] - 0.25) < 0.05


def test_cutout_blackens_a_square_around_any_pixel() -> None:
    x = images(4, 2, 200, 2, 7, 9)
    found = changes.cutout(portion(x, SIGNATURE, -3.0, cutout=[3.0, 2.0]))
    gone = found == -3.0
    assert torch.equal(torch.where(gone, x, found), x)
    assert torch.equal(gone[:, :, :, 0], gone[:, :, :, 1]), "all channels"
    square = gone[:, :, :, 0]
    rows, columns = square.any(-1).sum(-1), square.any(-2).sum(-1)
    assert torch.equal(square.flatten(3).sum(-1), rows * columns), "a rectangle"
    for lane, side in enumerate((3, 2)):
        assert rows[:, lane].max() == columns[:, lane].max() == side
        assert rows[:, lane].min() < side, "some lie at the edge"
    assert square.any(0).any(1).all(), "any pixel"
