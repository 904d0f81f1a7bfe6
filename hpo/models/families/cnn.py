"""The convolutional network: blocks that each halve an image or a sequence, then a perceptron. What differs between
images and sequences is in `convolutions`."""

from hpo.errors import InputError
from hpo.models.families.convolutions import Images, kind_of
from hpo.models.layers.flow import Add
from hpo.models.slots import Children, activation_slots, dense_part, dropout_slot, keeps_bias
from hpo.signature import Signature
from hpo.studyfile.records import Cnn, TrialConfig


def cnn(config: TrialConfig, signature: Signature, outputs: int) -> Children:
    """Children in order: steps for sequences, norm_input, dropout_input, then per block skip1 in residual networks,
    depthwise1 where convolutions are separable, conv1, norm1_before, add1, activation1, norm1_after, pool1, dropout1,
    then pool_head where the head averages, flatten, hidden linear layers numbered on from the blocks, and output.

    Convolutions keep height and width, or the steps; pooling halves these, rounding down in images and up in sequences.
    Raises InputError if the kernel is even, if a sample is neither image nor sequence nor text, or if an image is too
    small for so many blocks.
    """
    model = config.model
    assert isinstance(model, Cnn)
    if model.kernel % 2 == 0:
        raise InputError(
            f"model.kernel = {model.kernel} is even: only an odd kernel has a middle, so that the image keeps its "
            f"size. Take {model.kernel - 1} or {model.kernel + 1}."
        )
    kind = kind_of(model, signature)
    if config.dropout.spatial and not isinstance(kind, Images):
        raise InputError(
            "dropout.spatial = true drops whole channels of images, but the data are sequences or texts. "
            "Leave out dropout.spatial."
        )
    children, stride = kind.begin(config), 2 if model.pooling == "stride" else 1
    channels = kind.channels
    for layer, out in enumerate(model.channels):
        number = layer + 1
        kind.check_size(layer)
        kind.convolve(stride)
        before, activation, after = activation_slots(config, layer, kind.shape(out), kind.norm_at)
        bias = keeps_bias(config, [before])
        if model.residual:
            children.append((f"skip{number}", kind.skip(channels, out, stride)))
        if model.depthwise:
            apart = kind.conv(channels, channels, model.kernel, stride=stride, groups=channels, bias=False)
            children.append((f"depthwise{number}", apart))
            children.append((f"conv{number}", kind.conv(channels, out, 1, bias=bias)))
        else:
            children.append((f"conv{number}", kind.conv(channels, out, model.kernel, stride=stride, bias=bias)))
        children.append(before)
        if model.residual:
            children.append((f"add{number}", Add()))
        children += [activation, after]
        if model.pooling != "stride":
            children.append((f"pool{number}", kind.pool()))
        children.append(dropout_slot(config, layer, channels=isinstance(kind, Images)))
        channels = out
    head, shape = kind.head(channels)
    return [*children, *head, *dense_part(config, shape, len(model.channels), outputs)]
