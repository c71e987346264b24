"""Let a model go on writing under interventions, with a cache of keys and values or without: the tokens are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from helpers.steering.forward import attention_options, last_logits
from helpers.steering.hooking import Share, as_setting, require_finite, setting_part, steered_rows
from helpers.steering.interventions import Intervention
from helpers.steering.prompts import Prompts, repeated_prompts, require_fits
from helpers.steering.running import BATCH_SIZE

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@torch.no_grad()
def generate(
    model: TransformerBridge,
    prompts: Prompts,
    settings: Sequence[Intervention | Sequence[Intervention]] = ((),),
    *,
    n_new: int,
    temperature: float = 0.0,
    seed: int = 0,
    use_cache: bool = True,
    batch_size: int = BATCH_SIZE,
) -> Int64[np.ndarray, "n_settings n_prompts n_new"]:
    """New tokens after every prompt under every setting.

    Args:
        settings: an intervention each, or several that are made together, or an empty tuple: the plain model.
        n_new: tokens to write; none of them ends the text (cut at an end token where a model has one).
        temperature: 0 takes the most likely token; above it tokens are drawn from softmax(logits / temperature).
        seed: of the draws. They depend on the seed, the prompt's number and the token's number alone: settings are compared
            with the same luck, and neither padding nor the batch size matters.
        use_cache: keep keys and values, instead of running all tokens again for each new one.
        batch_size: rows (a prompt under a setting) a forward pass.
    Returns:
        (n_settings, n_prompts, n_new) token ids.
    Raises:
        ValueError: no new token, a temperature below 0, prompts that with their new tokens do not fit the model, an unknown
            hook, an intervention of another width, or logits that are not finite.
    """
    if n_new < 1 or batch_size < 1 or not temperature >= 0:
        raise ValueError(
            f"expected a new token, a row a pass and a temperature of 0 or more; got {n_new}, {batch_size}, {temperature}"
        )
    require_fits(model, prompts, n_new=n_new)
    left = prompts.padded("left")  # new tokens then follow every prompt at once
    wanted = [as_setting(setting) for setting in settings]
    found = np.empty((len(wanted), prompts.n_prompts, n_new), np.int64)
    for first in range(0, prompts.n_prompts, batch_size):
        here = left.part(first, first + batch_size)
        rows = slice(first, first + here.n_prompts)
        luck = np.stack(
            [np.random.default_rng([seed, number]).random(n_new) for number in range(rows.start, rows.stop)]
        )
        at_once = max(1, batch_size // here.n_prompts)
        for start in range(0, len(wanted), at_once):
            settings_here = [setting_part(each, rows, prompts.n_prompts) for each in wanted[start : start + at_once]]
            writer = _Writer(model, [Share(here, each) for each in settings_here], luck, temperature)
            with steered_rows(model, writer.shares, cached=use_cache):
                written = writer.cached() if use_cache else writer.plain()
            found[start : start + len(settings_here), rows] = written
    return found


class _Writer:
    """Writes on after the rows of one forward pass."""

    def __init__(self, model: TransformerBridge, shares: list[Share], luck: np.ndarray, temperature: float) -> None:
        self.model = model
        self.shares = shares
        self._luck = np.tile(luck, (len(shares), 1))
        self._temperature = temperature
        self._rows = repeated_prompts(shares[0].prompts, len(shares))

    def plain(self) -> np.ndarray:
        """All tokens again for every new one."""
        rows = self._rows
        for step in range(self._luck.shape[1]):
            rows = _longer(rows, self._choose(last_logits(self.model, rows), step))
        return self._written(rows)

    def cached(self) -> np.ndarray:
        """The prompts once, then one token at a time."""
        rows, cache, new = self._rows, None, self._rows.input_ids
        for step in range(self._luck.shape[1]):
            logits, cache = self.model(
                torch.from_numpy(new).to(self.model.cfg.device),
                return_type="logits_and_cache",
                prepend_bos=False,
                use_cache=True,
                past_key_values=cache,
                **attention_options(rows, self.model),
            )
            chosen = self._choose(logits[:, -1].float(), step)
            rows, new = _longer(rows, chosen), chosen[:, None]
        return self._written(rows)

    def _choose(self, logits: Tensor, step: int) -> Int64[np.ndarray, " n_rows"]:
        for share, part in zip(self.shares, logits.split(self.shares[0].prompts.n_prompts), strict=True):
            require_finite(part, share.setting)
        if self._temperature == 0:
            return logits.argmax(dim=1).cpu().numpy()
        return _drawn(logits.double().cpu().numpy() / self._temperature, self._luck[:, step])

    def _written(self, rows: Prompts) -> np.ndarray:
        new = rows.input_ids[:, self._rows.n_columns :]
        return new.reshape(len(self.shares), -1, new.shape[1])


def _longer(rows: Prompts, chosen: Int64[np.ndarray, " n_rows"]) -> Prompts:
    """The rows with one more token."""
    real = np.ones((len(chosen), 1), bool)
    return Prompts(
        np.concatenate([rows.input_ids, chosen[:, None]], axis=1),
        np.concatenate([rows.attention_mask, real], axis=1),
        np.concatenate([rows.keep_mask, real], axis=1),
    )


def _drawn(
    scores: Float[np.ndarray, "n_rows d_vocab"], luck: Float[np.ndarray, " n_rows"]
) -> Int64[np.ndarray, " n_rows"]:
    """One token a row from softmax(scores): the first whose cumulated probability exceeds the row's number in [0, 1)."""
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    cumulated = weights.cumsum(axis=1)
    return (cumulated <= luck[:, None] * cumulated[:, -1:]).sum(axis=1)
