"""What a language model knows: loss on held-out tokens, and probes of facts that the corpus states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeGuard

import torch

from helpers.corpus import Probe, TokenBatch
from helpers.corpus.tokenizer import continuation_ids, start_token_id
from helpers.models.streaming import batch_input_ids, split_batch

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
    """Share of probes whose answer is the model's first choice, by kind.

    An answer of one token is right if this token has the highest logit. One of several tokens is right if each has the
    highest logit after those before it, and the word ends there: where the answer begins a longer alternative (seven,
    seventeen), the first choice after it must not be the token by which that one goes on.

    Args:
        among_alternatives: compare the answer with the other words of its concept only, not with the whole vocabulary.
    Returns:
        kind -> accuracy in [0, 1].
    Raises:
        ValueError: an answer has no token, or one that the tokenizer does not know.
    """
    probes = list(probes)
    ids_of = cache(lambda text: _answer_ids(tokenizer, text))  # the same few words are asked for again and again
    right: dict[str, list[bool]] = {}
    for start in range(0, len(probes), _PROBES_AT_ONCE):
        part = probes[start : start + _PROBES_AT_ONCE]
        answers = [ids_of(probe.answer) for probe in part]
        logits = _answer_logits(model, tokenizer, [probe.prompt for probe in part], answers)
        for probe, answer, rows in zip(part, answers, logits, strict=True):
            options = [answer, *map(ids_of, probe.alternatives)]
            right.setdefault(probe.kind, []).append(_is_chosen(rows, answer, options, among_alternatives))
    return {kind: sum(answers) / len(answers) for kind, answers in right.items()}


def model_logits(model: Model, input_ids: torch.Tensor) -> torch.Tensor:
    """Next-token logits of a hooked or a plain Hugging Face model, (n_sequences, context_size, d_vocab)."""
    if _is_hooked(model):
        return model(input_ids, return_type="logits", prepend_bos=False)
    return model(input_ids=input_ids).logits


def _is_hooked(model: Model) -> TypeGuard[TransformerBridge]:
    from transformer_lens.model_bridge import TransformerBridge

    return isinstance(model, TransformerBridge)


def _is_chosen(rows: torch.Tensor, answer: list[int], options: Sequence[list[int]], among_alternatives: bool) -> bool:
    """Whether the highest logits spell the answer; rows[i] are the logits after i of its tokens."""
    for place, token_id in enumerate(answer):
        row = rows[place]
        if among_alternatives:
            allowed = torch.tensor(sorted(_next_ids(options, answer[:place])))
            best = int(allowed[row[allowed].argmax()])
        else:
            best = int(row.argmax())
        if best != token_id:
            return False
    longer = _next_ids(options, answer)
    return not longer or int(rows[len(answer)].argmax()) not in longer


def _next_ids(options: Sequence[list[int]], beginning: list[int]) -> set[int]:
    """The tokens by which options go on that begin so."""
    n = len(beginning)
    return {ids[n] for ids in options if len(ids) > n and ids[:n] == beginning}


def _answer_logits(
    model: Model, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[list[int]]
) -> list[torch.Tensor]:
    """Logits after each prompt and after every token of its answer: (len(answer) + 1, d_vocab) each."""
    bos = start_token_id(tokenizer)
    room = _context_size(model) - 1
    prompt_ids = tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
    encoded = [[bos, *ids[-(room - len(answer)) :], *answer] for ids, answer in zip(prompt_ids, answers, strict=True)]
    longest = max(map(len, encoded))
    # padded on the right with any id: what follows a token cannot change its logits
    input_ids = torch.tensor([ids + [bos] * (longest - len(ids)) for ids in encoded])
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = model_logits(model, input_ids.to(device))
    ends = [(len(ids), len(answer) + 1) for ids, answer in zip(encoded, answers, strict=True)]
    return [row[stop - n : stop].float().cpu() for row, (stop, n) in zip(logits, ends, strict=True)]


def _context_size(model: Model) -> int:
    """Positions that the model has; a longer prompt loses its beginning."""
    config: Any = model.original_model.config if _is_hooked(model) else model.config
    return int(config.max_position_embeddings)


def _answer_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    (ids,) = continuation_ids(tokenizer, [text])
    if not ids or tokenizer.unk_token_id in ids:
        raise ValueError(
            f"a probe's answer is made of known tokens; '{text}' is {ids}; probe with the corpus's own tokenizer, or one "
            "that knows its words"
        )
    return ids
