"""Penalties on weights, and bounds on gradients and weights, for all lanes at once.

Each lane has its own coefficient, and its result depends on no other lane: NaN or inf stays where it is. Weight
decay belongs to the update rules, `hpo.optim.rules`.

Shapes: K lanes, P parameters per lane, O units of a layer.
"""

import torch
from torch import Tensor


def add_penalties_(
    grad_KP: Tensor, theta_KP: Tensor, is_weight_1P: Tensor, l1_K1: Tensor | None, l2_K1: Tensor | None
) -> None:
    """Adds the gradient of l1 * sum |w| + l2 * sum w^2 / 2 over weights, in place.

    `is_weight_1P` is true or 1 where a parameter is a weight (not a bias, not a norm's scale or shift). A coefficient
    of None means that no lane has the penalty; a lane with coefficient 0 gets the same result either way.
    """
    weights_KP = theta_KP * is_weight_1P.to(theta_KP.dtype)
    if l2_K1 is not None:
        grad_KP.addcmul_(weights_KP, l2_K1)
    if l1_K1 is not None:
        grad_KP.addcmul_(weights_KP.sign_(), l1_K1)


def clip_(grad_KP: Tensor, limit_K1: Tensor | None) -> Tensor:
    """Scales down, in place, each lane's gradient whose Euclidean norm exceeds the limit; inf or None: no limit.

    Returns the norms before clipping, [K]. Like `torch.nn.utils.clip_grad_norm_`, which also adds 1e-6 to the norm.
    """
    norm_K1: Tensor = torch.linalg.vector_norm(grad_KP, dim=1, keepdim=True)
    if limit_K1 is not None:
        factor_K1 = (limit_K1 / (norm_K1 + 1e-6)).clamp(max=1.0)
        # inf / inf: a norm that overflowed must not touch a lane without limit
        grad_KP.mul_(torch.where(limit_K1.isinf(), 1.0, factor_K1))
    return norm_K1.squeeze(1)


def max_norm_(weight_KO: Tensor, limit_K1: Tensor) -> None:
    """Scales down, in place, each unit's incoming weights whose Euclidean norm exceeds the limit; inf: no limit.

    `weight_KO` is [K, O, ...], e.g. a view of theta: [K, O, inputs] or [K, O, channels, height, width]. Like
    `torch.renorm`, which also adds 1e-7 to the norm.
    """
    rows = weight_KO.flatten(2)
    norm_KO1 = torch.linalg.vector_norm(rows, dim=2, keepdim=True)
    limit_K11 = limit_K1.unsqueeze(2)
    factor_KO1 = torch.where(norm_KO1 > limit_K11, limit_K11 / (norm_KO1 + 1e-7), 1.0)
    weight_KO.mul_(factor_KO1.view(*factor_KO1.shape, *([1] * (weight_KO.dim() - 3))))
