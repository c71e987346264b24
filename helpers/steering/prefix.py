"""Start a forward pass in the middle: from what enters a layer, computed once, so that a sweep runs only the layers above.

TransformerBridge 3.9 refuses `start_at_layer`, because the loop over layers is Hugging Face's. That loop is left as it is
here: embeddings are cheap, and masks and rotations are made by the model itself; only the blocks below are skipped, each
handing on what is known to come out of it. This holds for models in which one block hands the next nothing but the
stream; `recorded_prefix` proves it on the prompts in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from helpers.models import hook_layer
from helpers.steering.forward import last_logits
from helpers.steering.hooking import require_finite
from helpers.steering.prompts import Prompts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

# Kernels of another batch size round differently: a few units in the last place of the model's dtype, about 1e-6 of the
# largest logit in float32. What is wrong is off by far more.
_LEAST_TOLERANCE = 1e-4
_UNITS_IN_THE_LAST_PLACE = 16
_N_PROVEN = 2


@dataclass(frozen=True, eq=False)
class Prefix:
    """What comes out of block `start` - 1 for every token of some prompts.

    Shapes:
        stream: (n_prompts, n_columns, d_model).
    Args:
        start: the first block that is run.
        n_returned: 0 where blocks return a tensor; otherwise the length of the tuple that they return.
    """

    start: int
    stream: Tensor
    n_returned: int = 0


def start_block(model: TransformerBridge, hook_name: str) -> int:
    """The first block that an intervention at a hook changes: the one it is in, or the next if it is that one's output."""
    if not hasattr(model, "blocks") or not hook_name.startswith("blocks."):
        return 0
    layer = hook_layer(hook_name)
    return layer + 1 if model.hook_dict[hook_name] is model.blocks[layer].hook_out else layer


@torch.no_grad()
def recorded_prefix(model: TransformerBridge, prompts: Prompts, starts: Iterable[int]) -> dict[int, Prefix]:
    """Run the prompts once, plain, and keep what comes out below each of the blocks in `starts` (0 needs nothing).

    Raises:
        ValueError: running on from there does not give the logits of the whole model.
    """
    wanted = sorted({start for start in starts if start > 0})
    if not wanted:
        return {}
    found: dict[int, Prefix] = {}
    with ExitStack() as stack:
        for start in wanted:
            handle = model.blocks[start - 1].register_forward_hook(_recorder(start, found))
            stack.callback(handle.remove)
        logits = last_logits(model, prompts)
    require_finite(logits, ())
    few = min(_N_PROVEN, prompts.n_prompts)
    for prefix in found.values():
        with starting_from(model, prefix, torch.arange(few)):
            again = last_logits(model, prompts.part(0, few))
        tolerance = max(_LEAST_TOLERANCE, _UNITS_IN_THE_LAST_PLACE * torch.finfo(prefix.stream.dtype).eps)
        if not torch.allclose(again, logits[:few], rtol=0, atol=tolerance * float(logits.abs().max())):
            raise ValueError(
                f"this model hands more than the stream from block {prefix.start - 1} to the next, so a pass cannot start there; "
                "pass shared_prefix=False"
            )
    return found


@contextmanager
def starting_from(model: TransformerBridge, prefix: Prefix | None, rows: Tensor) -> Iterator[None]:
    """Inside the block the blocks below `prefix.start` are skipped; None skips none.

    Args:
        rows: (n_rows,) which prompt of the prefix each row of the forward pass is.
    Notes:
        The last skipped block's hook_out is passed, so that hooks on it act as ever; hooks further down are not reached.
    """
    if prefix is None:
        yield
        return
    stream = prefix.stream[rows.to(prefix.stream.device)]
    skipped = list(model.blocks)[: prefix.start]
    try:
        for block in skipped:
            hook_out = block.hook_out if block is skipped[-1] else None
            # not setattr, which TransformerBridge passes on to the Hugging Face block
            block.__dict__["forward"] = _handing_on(stream, prefix.n_returned, hook_out)
        yield
    finally:
        for block in skipped:
            block.__dict__.pop("forward", None)


def _recorder(start: int, found: dict[int, Prefix]) -> Callable[..., None]:
    def record(module: object, arguments: object, output: Any) -> None:  # noqa: ARG001 (torch calls it with all three)
        is_tuple = isinstance(output, tuple)
        stream = (output[0] if is_tuple else output).clone()  # a block may add to its input in place
        found[start] = Prefix(start, stream, len(output) if is_tuple else 0)

    return record


def _handing_on(stream: Tensor, n_returned: int, hook_out: Callable[[Tensor], Tensor] | None) -> Callable[..., Any]:
    """What a skipped block does: return what comes out of it, as it would."""

    def forward(*arguments: object, **options: object) -> Any:  # noqa: ARG001 (called as the block is)
        out = stream if hook_out is None else hook_out(stream)
        return (out, *[None] * (n_returned - 1)) if n_returned else out

    return forward
