"""The convolutional network: blocks that each halve the image, then a perceptron."""

from torch import nn

from hpo.errors import InputError
from hpo.models.slots import (
    Children,
    activation_slots,
    dense_part,
    dropout_slot,
    input_slots,
    keeps_bias,
    refuse_codes,
)
from hpo.signature import Signature
from hpo.studyfile.records import Cnn, TrialConfig


def cnn(config: TrialConfig, signature: Signature, outputs: int) -> Children:
    """Children in order: norm_input, dropout_input, then per block conv1, norm1_before, activation1, norm1_after,
    pool1, dropout1, then flatten, hidden linear layers numbered on from the blocks, and output.

    Convolutions keep height and width; pooling halves them, rounding down. Raises InputError if a sample is no image
    (channels, height, width), if the kernel is even, or if the image is too small for so many blocks.
    """
    assert isinstance(config.model, Cnn)
    kernel, input_shape = config.model.kernel, signature.shape
    refuse_codes(signature, "cnn")
    if len(input_shape) != 3:
        raise InputError(
            f'model.family = "cnn" needs images of (channels, height, width), but a sample has shape {input_shape}. '
            'Take model.family = "mlp" or a data set of images.'
        )
    if kernel % 2 == 0:
        raise InputError(
            f"model.kernel = {kernel} is even: only an odd kernel has a middle, so that the image keeps its size. "
            f"Take {kernel - 1} or {kernel + 1}."
        )
    children = input_slots(config, input_shape)
    channels, height, width = input_shape
    for layer, out in enumerate(config.model.channels):
        if min(height, width) < 2:
            raise InputError(
                f"model.channels = {list(config.model.channels)} asks for {len(config.model.channels)} blocks, each "
                f"of which halves the image, but {input_shape[1]}x{input_shape[2]} pixels have become "
                f"{height}x{width} after {layer}: a block needs at least 2x2. Give at most {layer} entries."
            )
        slots = activation_slots(config, layer, (out, height, width))
        bias = keeps_bias(config, slots)
        children.append((f"conv{layer + 1}", nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=bias)))
        children += slots
        children.append((f"pool{layer + 1}", nn.MaxPool2d(2)))
        children.append(dropout_slot(config, layer, channels=True))
        channels, height, width = out, height // 2, width // 2
    return [
        *children,
        ("flatten", nn.Flatten()),
        *dense_part(config, (channels, height, width), len(config.model.channels), outputs),
    ]
