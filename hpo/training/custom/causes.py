"""Why a module's lanes cannot be one batch: the layer, the reason, and what to write in its place."""

from __future__ import annotations

import traceback

from torch import nn

INSTEAD = {
    "pack_padded_sequence": "leave out packing, and take the mask of real steps where a sequence is summed up",
    "proj_size": "leave out proj_size, and add a linear layer",
    "data-dependent control flow": "take torch.where in place of a branch on values",
    "embedding_renorm_": "leave out max_norm",
    "randomness": "take dropout in place of other random numbers",
    ".item()": "keep numbers in tensors",
}
"""What a function is named in an error or on the way to it -> what to write instead."""


def cause(error: Exception, template: nn.Module) -> str:
    """In one line."""
    paths = {id(layer): path for path, layer in template.named_modules()}
    layers, names = [], []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        names.append(frame.f_code.co_name)
        layer = frame.f_locals.get("self")
        if isinstance(layer, nn.Module) and paths.get(id(layer)):
            layers.append(layer)
    text = first_line(error)
    if layers:
        path = paths[id(layers[-1])].removeprefix("own.")
        where = f"its layer {path} ({type(layers[-1]).__name__})" if path != "own" else "its forward"
    else:
        where = "its forward"
    known = (instead for word, instead in INSTEAD.items() if word in names or word in str(error))
    return f"{where} cannot be batched, {text.rstrip('.')}" + "".join(f"; {one}" for one in list(known)[:1])


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
