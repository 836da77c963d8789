"""Activation recomputation (checkpointing): blocks keep less memory and compute more. Report 3.5.

Both learners use it: many processes on their parts (`parallelize`), one process on the whole model, compiled or not.
"""

from __future__ import annotations

from functools import cache, partial

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from skyloom.model.decoder import Block, Decoder


def recompute(part: Decoder, what: str) -> None:
    """Keep only the inputs of some modules for the backward pass, and compute the rest again there: less memory, more time.

    Nothing is wrapped in a module, which would change the weights' names. Modules within a compiled block change their
    class, because to the compiler blocks with patched methods are all different, and it gives up after the eighth.
    """
    for block in part.blocks.values():
        assert isinstance(block, Block)
        if what == "full":
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]
        elif what == "selective":
            for module in (block.attention_norm, block.attention, block.ffn_norm):
                module.__class__ = _recomputed(type(module))  # type: ignore[arg-type] # classes are hashable


@cache
def _recomputed(kind: type[nn.Module]) -> type[nn.Module]:
    def forward(self: nn.Module, *inputs: Tensor | None) -> Tensor:
        outputs: Tensor = checkpoint(partial(kind.forward, self), *inputs, use_reentrant=False)
        return outputs

    return type(f"Recomputed{kind.__name__}", (kind,), {"forward": forward})
