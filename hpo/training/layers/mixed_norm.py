"""Normalisation of dense features for lanes with batch, layer or no normalisation, in one pass over all lanes.

Batch and layer normalisation have the same formula, (x - mean) * rsqrt(var + eps), over different axes; a coefficient
of the lane selects the axis. So lanes with different normalisation cost little more than lanes with the same, and a
program keeps its form when its lanes change.

Dimensions: K lanes, B examples, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hpo.training.layers.dense import IDENTITY
from hpo.training.layers.frame import LayerContext, Pass


@dataclass(frozen=True, kw_only=True, slots=True)
class MixedNorm:
    """Normalisation at one position of lanes of mixed kinds: sizes, and which kinds there are."""

    features: int
    eps: float
    batch: bool
    """Whether any lane has batch normalisation."""
    layer: bool
    """Whether any lane has layer normalisation."""
    affine: bool
    """Whether any lane learns scale and shift."""

    @classmethod
    def of(cls, layers: Sequence[nn.Module]) -> MixedNorm:
        """From the lanes' layers, at least one of which is a dense norm; the others are the identity."""
        norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm1d | nn.LayerNorm)]
        first = norms[0]
        return cls(
            features=first.num_features if isinstance(first, nn.BatchNorm1d) else first.normalized_shape[0],
            eps=first.eps,
            batch=any(isinstance(norm, nn.BatchNorm1d) for norm in norms),
            layer=any(isinstance(norm, nn.LayerNorm) for norm in norms),
            affine=any(map(_is_affine, norms)),
        )

    def bind(self, context: LayerContext) -> Pass:
        """[K, B, F] -> [K, B, F]."""
        if not (self.batch or self.layer):
            return IDENTITY
        assert context.frame.training, "a program that is compiled only trains"
        shape = (self.features,)
        if self.batch:
            batch, not_batch = context.column("batch"), context.column("not_batch")
            batch_mean, batch_variance = (context.batch_stat(f"running_{which}", shape) for which in ("mean", "var"))
        if self.layer:
            layer, not_layer = context.column("layer"), context.column("not_layer")
        if self.affine:
            affine_K1 = context.column("affine")
            d_scale_KF, d_shift_KF = context.gradient("weight", shape), context.gradient("bias", shape)

        def forward(x: Tensor) -> tuple[Tensor, _Kept]:
            count, centred = x.shape[1], x
            by_feature = by_example = None
            if self.batch:
                mean = x.mean(1, keepdim=True)
                centred = centred - mean * batch
            if self.layer:
                centred = centred - x.mean(2, keepdim=True) * layer
            square = centred * centred
            if self.batch:
                variance = square.mean(1, keepdim=True)
                by_feature = (variance + self.eps).rsqrt() * batch + not_batch
                batch_mean.copy_(mean.squeeze(1))
                batch_variance.copy_(variance.squeeze(1) * (count / max(count - 1, 1)))
            if self.layer:
                by_example = (square.mean(2, keepdim=True) + self.eps).rsqrt() * layer + not_layer
            xhat = _times(centred, by_feature, by_example)
            scale, shift = self._scale_and_shift(context)
            y = xhat if scale is None or shift is None else torch.addcmul(shift, xhat, scale)
            return y, _Kept(xhat, by_feature, by_example, scale)

        def backward(kept: _Kept, g: Tensor, wanted: bool) -> Tensor | None:
            xhat, by_feature, by_example, scale = kept
            product = g * xhat
            if self.batch or self.affine:
                sum_K1F, sum_product_K1F = g.sum(1, keepdim=True), product.sum(1, keepdim=True)
            if self.affine:
                d_scale_KF.copy_(sum_product_K1F.squeeze(1) * affine_K1)
                d_shift_KF.copy_(sum_K1F.squeeze(1) * affine_K1)
            if not wanted:
                return None
            if scale is not None:
                g = g * scale
            centred = g
            if self.batch:
                share = batch / g.shape[1] if scale is None else batch / g.shape[1] * scale
                centred = torch.addcmul(centred - sum_K1F * share, xhat, sum_product_K1F * share, value=-1.0)
            if self.layer:
                share = layer / g.shape[2]
                along = (product if scale is None else product * scale).sum(2, keepdim=True)
                centred = torch.addcmul(centred - g.sum(2, keepdim=True) * share, xhat, along * share, value=-1.0)
            return _times(centred, by_feature, by_example)

        return Pass(forward, backward)

    def _scale_and_shift(self, context: LayerContext) -> tuple[Tensor | None, Tensor | None]:
        """[K, 1, F] each; 1 and 0 for a lane that does not learn them, whatever its row holds."""
        if not self.affine:
            return None, None
        affine_K1, shape = context.column("affine"), (self.features,)
        scale = torch.addcmul(context.column("not_affine"), context.parameter("weight", shape), affine_K1)
        return scale.unsqueeze(1), (context.parameter("bias", shape) * affine_K1).unsqueeze(1)


class _Kept(NamedTuple):
    """The values that the backward pass needs."""

    xhat: Tensor
    by_feature: Tensor | None
    by_example: Tensor | None
    scale: Tensor | None


def mixed_norm_columns(layers: Sequence[nn.Module], dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    """The columns that `MixedNorm` uses: 1 for a lane that has a property, else 0."""
    properties = {
        "batch": [float(isinstance(layer, nn.BatchNorm1d)) for layer in layers],
        "layer": [float(isinstance(layer, nn.LayerNorm)) for layer in layers],
        "affine": [float(_is_affine(layer)) for layer in layers],
    }
    found = {}
    for name, values in properties.items():
        column = torch.tensor(values, dtype=dtype, device=device).view(-1, 1)
        if name != "affine":
            column = column.unsqueeze(2)
        found[name], found[f"not_{name}"] = column, 1.0 - column
    return found


def is_dense_norm(layer: nn.Module) -> bool:
    """Whether the layer is a batch or layer normalisation of dense features, not of images."""
    return isinstance(layer, nn.BatchNorm1d) or (isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) == 1)


def _times(x: Tensor, by_feature: Tensor | None, by_example: Tensor | None) -> Tensor:
    if by_feature is not None:
        x = x * by_feature
    return x if by_example is None else x * by_example


def _is_affine(layer: nn.Module) -> bool:
    if isinstance(layer, nn.BatchNorm1d):
        return layer.affine
    return isinstance(layer, nn.LayerNorm) and layer.elementwise_affine
