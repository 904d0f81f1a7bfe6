"""Penalties on weights, bounds on gradients and weights, and label smoothing, for all lanes at once.

Each lane has its own coefficient, and its result depends on no other lane: NaN or inf stays where it is. Weight
decay belongs to the update rules, `hpo.optim.rules`.

Shapes: K lanes, P parameters per lane, B examples, C classes, O units of a layer.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

WHOLE = 32
"""Numbers that the CPU computes at once with vector code, at most (float32)."""


def add_penalties_(
    grad_KP: Tensor, theta_KP: Tensor, is_weight_1P: Tensor, l1_K1: Tensor | None, l2_K1: Tensor | None
) -> None:
    """Adds the gradient of l1 * sum |w| + l2 * sum w^2 / 2 over weights, in place.

    `is_weight_1P` is true or 1 where a parameter is a weight (not a bias, not a norm's scale or shift). None where no
    lane has the penalty spares the pass; a lane with 0 comes out the same either way.
    """
    weights_KP = theta_KP * is_weight_1P.to(theta_KP.dtype)
    if l2_K1 is not None:
        grad_KP.addcmul_(weights_KP, l2_K1)
    if l1_K1 is not None:
        grad_KP.addcmul_(weights_KP.sign_(), l1_K1)


def clip_(grad_KP: Tensor, limit_K1: Tensor | None) -> Tensor:
    """Scales down, in place, each lane's gradient whose Euclidean norm exceeds the limit; inf or None: no limit.

    Returns the norms before clipping, shape [K]. Like `torch.nn.utils.clip_grad_norm_`, 1e-6 on the norm included.
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
    `torch.renorm`, 1e-7 on the norm included.
    """
    rows = weight_KO.flatten(2)
    norm_KO1 = torch.linalg.vector_norm(rows, dim=2, keepdim=True)
    limit_K11 = limit_K1.unsqueeze(2)
    factor_KO1 = torch.where(norm_KO1 > limit_K11, limit_K11 / (norm_KO1 + 1e-7), 1.0)
    weight_KO.mul_(factor_KO1.view(*factor_KO1.shape, *([1] * (weight_KO.dim() - 3))))


def smoothed_cross_entropy(logits_KBC: Tensor, target_KB: Tensor, smoothing_K1: Tensor | None) -> Tensor:
    """Cross entropy of each example, shape [K, B], with a share of the target spread evenly over all classes
    (Szegedy et al. 2016). `target_KB` holds class numbers (int64); None: no lane has any smoothing."""
    if torch.compiler.is_compiling():  # the compiler derives as good a gradient itself
        log_p_KBC = logits_KBC.log_softmax(-1)
        plain_KB = -log_p_KBC.gather(-1, target_KB.unsqueeze(-1)).squeeze(-1)
        if smoothing_K1 is None:
            return plain_KB
        even_KB = log_p_KBC.mean(-1) * smoothing_K1
        return torch.where(smoothing_K1 > 0, plain_KB * (1.0 - smoothing_K1) - even_KB, plain_KB)
    if smoothing_K1 is None:
        smoothing_K1 = torch.zeros(len(logits_KBC), 1, dtype=logits_KBC.dtype, device=logits_KBC.device)
    loss_KB = _CrossEntropy.apply(logits_KBC, target_KB, smoothing_K1)  # type: ignore[no-untyped-call]  # torch's
    return cast(Tensor, loss_KB)


class _CrossEntropy(torch.autograd.Function):
    """Several times as fast on CPU as `cross_entropy` for few classes, and bit for bit independent of K.

    Classes lie outermost, so that vectors run over examples; each lane fills whole ones (WHOLE), or the scalar code for
    the rest, which rounds differently, would depend on which lane comes last.
    """

    @staticmethod
    def forward(ctx: Any, logits_KBC: Tensor, target_KB: Tensor, smoothing_K1: Tensor) -> Tensor:
        batch, classes = logits_KBC.shape[1:]
        rows_CKB = F.pad(logits_KBC, (0, 0, 0, -batch % WHOLE)).permute(2, 0, 1).contiguous()
        shifted_CKB = rows_CKB.sub_(rows_CKB.amax(0))
        exp_CKB = shifted_CKB.exp()
        sum_KB = exp_CKB.sum(0)
        log_p_CKB = shifted_CKB.sub_(sum_KB.log())[:, :, :batch]
        ctx.save_for_backward(exp_CKB.div_(sum_KB), target_KB, smoothing_K1)
        plain_KB = -log_p_CKB.gather(0, target_KB.unsqueeze(0)).squeeze(0)
        even_KB = log_p_CKB.sum(0) * (smoothing_K1 / classes)
        # 0 * -inf: a class of probability zero must not touch a lane without smoothing
        return torch.where(smoothing_K1 > 0, plain_KB * (1.0 - smoothing_K1) - even_KB, plain_KB)

    @staticmethod
    def backward(ctx: Any, gradient_KB: Tensor) -> tuple[Tensor, None, None]:
        p_CKB, target_KB, smoothing_K1 = ctx.saved_tensors
        difference_CKB = p_CKB[:, :, : target_KB.shape[1]] - smoothing_K1 / len(p_CKB)
        hit_1KB = (smoothing_K1 - 1.0).expand(target_KB.shape).unsqueeze(0)
        difference_CKB.scatter_add_(0, target_KB.unsqueeze(0), hit_1KB)
        return difference_CKB.mul_(gradient_KB).permute(1, 2, 0).contiguous(), None, None
