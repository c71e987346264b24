"""What a language model knows: loss on held-out tokens, and probes of facts that the corpus states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from helpers.corpus import Probe, TokenBatch
from helpers.corpus.tokenizer import start_token_id
from helpers.models.streaming import batch_input_ids, split_batch

Model = TransformerBridge | PreTrainedModel
_PROBES_AT_ONCE = 64


def next_token_loss(
    model: TransformerBridge,
    batch: TokenBatch,
    *,
    batch_size: int = 32,
    hook_of: Callable[[TokenBatch], tuple[str, Callable[..., torch.Tensor]]] | None = None,
) -> float:
    """Mean loss of predicting the kept tokens that have a token before them, in nats a token.

    Args:
        batch_size: sequences a forward pass.
        hook_of: makes the forward hook (name, function) of a part of the batch, e.g. one that replaces activations;
            it must name a hook that the model has (`require_hook`).
    Raises:
        ValueError: there is no such token, or ids or length do not fit the model.
    """
    total, n_targets = 0.0, 0
    for part in split_batch(batch, batch_size=batch_size):
        input_ids = batch_input_ids(model, part)
        targets = torch.from_numpy(part.keep_mask[:, 1:]).to(input_ids.device)
        with torch.no_grad():
            hooks = [] if hook_of is None else [hook_of(part)]
            with model.hooks(fwd_hooks=hooks):
                logits = model_logits(model, input_ids)[:, :-1].float()
        losses = torch.nn.functional.cross_entropy(logits[targets], input_ids[:, 1:][targets], reduction="none")
        total += float(losses.double().sum())
        n_targets += losses.numel()
    if n_targets == 0:
        raise ValueError("expected kept tokens after the first column; got none; pass a batch with text")
    return total / n_targets


def probe_accuracies(
    model: Model,
    tokenizer: PreTrainedTokenizerBase,
    probes: Iterable[Probe],
    *,
    among_alternatives: bool = False,
) -> dict[str, float]:
    """Share of probes whose answer has the highest logit, by kind.

    Args:
        among_alternatives: compare the answer with the other words of its concept only, not with the whole vocabulary.
    Returns:
        kind -> accuracy in [0, 1].
    Raises:
        ValueError: an answer is not one token of the tokenizer.
    """
    probes = list(probes)
    right: dict[str, list[bool]] = {}
    for start in range(0, len(probes), _PROBES_AT_ONCE):
        part = probes[start : start + _PROBES_AT_ONCE]
        logits = _last_logits(model, tokenizer, [probe.prompt for probe in part])
        for probe, row in zip(part, logits, strict=True):
            answer = _single_token(tokenizer, probe.answer)
            if among_alternatives:
                options = torch.tensor([_single_token(tokenizer, text) for text in probe.alternatives])
                best = int(options[row[options].argmax()])
            else:
                best = int(row.argmax())
            right.setdefault(probe.kind, []).append(best == answer)
    return {kind: sum(answers) / len(answers) for kind, answers in right.items()}


def model_logits(model: Model, input_ids: torch.Tensor) -> torch.Tensor:
    """Next-token logits of a hooked or a plain Hugging Face model, (n_sequences, context_size, d_vocab)."""
    if isinstance(model, TransformerBridge):
        return model(input_ids, return_type="logits", prepend_bos=False)
    return model(input_ids=input_ids).logits


def _last_logits(model: Model, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> torch.Tensor:
    bos = start_token_id(tokenizer)
    room = _context_size(model) - 1
    encoded = [[bos, *ids[-room:]] for ids in tokenizer(list(prompts), add_special_tokens=False)["input_ids"]]
    longest = max(map(len, encoded))
    # padded on the right with any id: what follows a token cannot change its logits
    input_ids = torch.tensor([ids + [bos] * (longest - len(ids)) for ids in encoded])
    last = torch.tensor([len(ids) - 1 for ids in encoded])
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = model_logits(model, input_ids.to(device)).float().cpu()
    return logits[torch.arange(len(encoded)), last]


def _context_size(model: Model) -> int:
    """Positions that the model has; a longer prompt loses its beginning."""
    config: Any = model.original_model.config if isinstance(model, TransformerBridge) else model.config
    return int(config.max_position_embeddings)


def _single_token(tokenizer: PreTrainedTokenizerBase, text: str) -> int:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise ValueError(f"a probe's answer is one token; '{text}' is {ids}; probe with the corpus's own tokenizer")
    return int(ids[0])
