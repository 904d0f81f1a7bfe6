"""The parts of a convolutional network that images and sequences have each of their own."""

from typing import Protocol

from torch import nn

from hpo.errors import InputError
from hpo.models.layers.flow import Skip, SkipConv2d
from hpo.models.layers.pooling import Pool
from hpo.models.layers.step_convolution import SkipStepConv, StepConv, StepPool
from hpo.models.layers.steps import Steps
from hpo.models.norm import norm_at, step_norm
from hpo.models.slots import Children, input_slots, refuse_codes, refuse_text_beside, word_steps
from hpo.signature import Signature
from hpo.studyfile.records import Cnn, NoNorm, Norm, Placement, TrialConfig


class Kind(Protocol):
    """How one kind of data is convolved. It follows the size of an example through the blocks."""

    channels: int

    def begin(self, config: TrialConfig) -> Children: ...
    def check_size(self, layer: int) -> None: ...
    def convolve(self, stride: int) -> None: ...
    def shape(self, channels: int) -> tuple[int, ...]: ...
    def norm_at(
        self, norm: Norm, placement: Placement, layer: int, shape: tuple[int, ...], place: str
    ) -> nn.Module: ...
    def conv(
        self, channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool
    ) -> nn.Module: ...
    def skip(self, channels: int, out: int, stride: int) -> nn.Module: ...
    def pool(self) -> nn.Module: ...
    def head(self, channels: int) -> tuple[Children, tuple[int, ...]]: ...


def kind_of(model: Cnn, signature: Signature) -> Kind:
    """What suits the data. Raises InputError where there are codes, columns, or a text beside columns."""
    refuse_text_beside(signature, "cnn")
    known = {one.name: one for one in signature.inputs}
    if "tokens" in known:
        words = word_steps(signature, model.word_vector)
        return Sequences(model, words, words.length, words.width, masked=True)
    refuse_codes(signature, "cnn")
    shape = known["values"].shape
    if len(shape) == 2:
        length, channels = shape
        masked = "mask" in known
        return Sequences(model, Steps(channels=channels, length=length, masked=masked), length, channels, masked=masked)
    if len(shape) != 3:
        raise InputError(
            f'model.family = "cnn" needs images of (channels, height, width), sequences or a text, but a sample has '
            f'shape {signature.shape}. Take model.family = "mlp" or a data set of images.'
        )
    return Images(model, shape)


class Images:
    """Images of (channels, height, width)."""

    def __init__(self, model: Cnn, shape: tuple[int, ...]) -> None:
        self.model, self.input = model, shape
        self.channels, self.height, self.width = shape

    def begin(self, config: TrialConfig) -> Children:
        return input_slots(config, self.input)

    def check_size(self, layer: int) -> None:
        """Raises InputError if the image cannot be halved before this block."""
        if min(self.height, self.width) < 2:
            blocks = list(self.model.channels)
            raise InputError(
                f"model.channels = {blocks} asks for {len(blocks)} blocks, each "
                f"of which halves the image, but {self.input[1]}x{self.input[2]} pixels have become "
                f"{self.height}x{self.width} after {layer}: a block needs at least 2x2. Give at most {layer} entries."
            )

    def convolve(self, stride: int) -> None:
        """The size after a convolution; a block without stride pools."""
        self.before_pooling = -(-self.height // stride), -(-self.width // stride)
        more = stride - 1  # a stride rounds up
        self.height, self.width = (self.height + more) // 2, (self.width + more) // 2

    def shape(self, channels: int) -> tuple[int, ...]:
        return channels, *self.before_pooling

    norm_at = staticmethod(norm_at)

    def conv(self, channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool) -> nn.Module:
        return nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=bias)

    def skip(self, channels: int, out: int, stride: int) -> nn.Module:
        return Skip() if (channels, stride) == (out, 1) else SkipConv2d(channels, out, 1, stride=stride, bias=False)

    def pool(self) -> nn.Module:
        return nn.MaxPool2d(2) if self.model.pooling == "max" else nn.AvgPool2d(2)

    def head(self, channels: int) -> tuple[Children, tuple[int, ...]]:
        if self.model.head == "average":
            return [("pool_head", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())], (channels,)
        return [("flatten", nn.Flatten())], (channels, self.height, self.width)


class Sequences:
    """Sequences of channels, and texts, whose words are vectors: [B, T, F]."""

    def __init__(self, model: Cnn, steps: nn.Module, length: int, features: int, *, masked: bool) -> None:
        if masked and model.head == "flatten":
            raise InputError(
                'model.head = "flatten" takes all steps, but sequences and texts end early. Take model.head = '
                '"average", the default of sequences.'
            )
        self.model, self.steps, self.length, self.channels = model, steps, length, features

    def begin(self, config: TrialConfig) -> Children:
        return [
            ("steps", self.steps),
            ("norm_input", self.norm_at(config.norm, "input", 0, (self.channels,), "the input")),
            ("dropout_input", nn.Dropout(config.dropout.input)),
        ]

    def check_size(self, layer: int) -> None:
        """Any length will do: a single step stays one."""

    def convolve(self, stride: int) -> None:
        self.length = -(-self.length // 2)

    def shape(self, channels: int) -> tuple[int, ...]:
        return (channels,)

    def norm_at(self, norm: Norm, placement: Placement, layer: int, shape: tuple[int, ...], place: str) -> nn.Module:
        """As `norm.norm_at`, of the features of each step."""
        if isinstance(norm, NoNorm) or norm.placement != placement:
            return nn.Identity()
        if placement != "input" and layer % norm.every:
            return nn.Identity()
        return step_norm(norm, shape[0], place)

    def conv(self, channels: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool) -> nn.Module:
        return StepConv(channels, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=bias)

    def skip(self, channels: int, out: int, stride: int) -> nn.Module:
        return Skip() if (channels, stride) == (out, 1) else SkipStepConv(channels, out, 1, stride=stride, bias=False)

    def pool(self) -> nn.Module:
        return StepPool(self.model.pooling)

    def head(self, channels: int) -> tuple[Children, tuple[int, ...]]:
        if self.model.head == "flatten":
            return [("flatten", nn.Flatten())], (self.length, channels)
        return [("pool_head", Pool("mean"))], (channels,)
