"""Hook names: check them, because TransformerBridge silently ignores a name that it does not know."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_LAYER = re.compile(r"^(?:blocks|transformer\.h|gpt_neox\.layers|model\.layers)\.(\d+)\.")
_N_SUGGESTIONS = 4


def require_hook(model: TransformerBridge, hook_name: str) -> None:
    """Make sure that the model has the hook (aliases such as blocks.1.hook_resid_post included).

    Raises:
        ValueError: it has not; the message lists the nearest names.
    """
    names = list(model.hook_dict)
    if hook_name in names:
        return
    near = difflib.get_close_matches(hook_name, names, n=_N_SUGGESTIONS, cutoff=0.5)
    beyond = _LAYER.match(hook_name)
    layers = f"; the model has layers 0 to {model.cfg.n_layers - 1}" if beyond else ""
    raise ValueError(
        f"hook_name is a hook of the model; got '{hook_name}'{layers}; "
        + (f"did you mean {', '.join(near)}?" if near else "list the names with sorted(model.hook_dict)")
    )


def hook_layer(hook_name: str) -> int:
    """Number of the layer that a hook is in.

    Raises:
        ValueError: the hook is in no layer (e.g. the embedding).
    """
    match = _LAYER.match(hook_name)
    if match is None:
        raise ValueError(
            f"hook_name is inside a layer, like blocks.1.hook_resid_post; got '{hook_name}'; take such a hook"
        )
    return int(match[1])


def hook_width(model: TransformerBridge, hook_name: str) -> int:
    """Size of the last axis of what the hook gives, measured on one token (d_model at most residual hooks).

    Raises:
        ValueError: unknown hook, or one that does not give one vector a token.
    """
    require_hook(model, hook_name)
    tokens = torch.zeros((1, 2), dtype=torch.int64, device=model.cfg.device)
    seen: list[torch.Size] = []

    def record(tensor: torch.Tensor, hook: object) -> None:  # noqa: ARG001 (TransformerLens calls it with both)
        seen.append(tensor.shape)

    with torch.no_grad():
        model.run_with_hooks(tokens, fwd_hooks=[(hook_name, record)])
    if not seen or len(seen[0]) != 3:
        got = tuple(seen[0]) if seen else "nothing"
        raise ValueError(
            f"expected one vector a token, shape (1, 2, d), at '{hook_name}'; got {got}; take a residual or MLP hook"
        )
    return int(seen[0][-1])
