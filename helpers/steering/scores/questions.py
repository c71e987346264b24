"""Prompts with their right answers as tokens, and which of a model's answers are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int64

from helpers.corpus.tokenizer import continuation_ids
from helpers.steering.prompts import Prompts, encode_prompts
from helpers.steering.scores.tables import TaskPrompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_TOKEN = -1


@dataclass(frozen=True, eq=False)
class Questions:
    """Encoded prompts of a task, or controls.

    Shapes:
        before, after: (n_prompts, d_vocab), True on the tokens that are right without and with steering; exact: (n_prompts,)
            the token that keeps the place in the list, NO_TOKEN where there is none; forms: (n_prompts,).
    Args:
        min_probability: what the tokens of `after` must reach together; None: the top answer counts.
    """

    prompts: Prompts
    texts: tuple[str, ...]
    before: Bool[np.ndarray, "n_prompts d_vocab"]
    after: Bool[np.ndarray, "n_prompts d_vocab"]
    exact: Int64[np.ndarray, " n_prompts"]
    forms: Int64[np.ndarray, " n_prompts"]
    min_probability: float | None = None

    def judged(self, logits: Float[np.ndarray, "n_prompts d_vocab"]) -> Judged:
        """What answers are worth.

        Shapes:
            logits: (n_prompts, d_vocab) next-token logits after each prompt.
        """
        answers = logits.argmax(axis=1)
        rows = np.arange(len(answers))
        weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        probability = (weights * self.after).sum(axis=1) / weights.sum(axis=1)
        at_top = self.after[rows, answers]
        hits = at_top if self.min_probability is None else probability >= self.min_probability
        return Judged(answers, hits, answers == self.exact, probability)


@dataclass(frozen=True, eq=False)
class Judged:
    """Answers to some questions under one setting.

    Shapes:
        all (n_prompts,): answers, top tokens; hits: right under steering; exact: the place in the list is kept;
            probability: of all tokens that are right under steering, in [0, 1].
    """

    answers: Int64[np.ndarray, " n_prompts"]
    hits: Bool[np.ndarray, " n_prompts"]
    exact: Bool[np.ndarray, " n_prompts"]
    probability: Float[np.ndarray, " n_prompts"]


def answer_token(tokenizer: PreTrainedTokenizerBase, word: str) -> int:
    """The one token of an answer, with the space before it.

    Raises:
        ValueError: the tokenizer cuts the word into several, or does not know it.
    """
    (ids,) = continuation_ids(tokenizer, [" " + word])
    if len(ids) != 1:
        pieces = ", ".join(repr(tokenizer.decode([token_id])) for token_id in ids)
        raise ValueError(
            f"an expected answer is one token of the model; ' {word}' is {len(ids)} ({pieces}); take another word, or ask for "
            "its first piece"
        )
    if ids[0] == tokenizer.unk_token_id:
        raise ValueError(f"an expected answer is a word that the tokenizer knows; got ' {word}'; take another")
    return int(ids[0])


def encode_questions(
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[TaskPrompt],
    *,
    d_vocab: int,
    min_probability: float | None = None,
    prepend_bos: bool = True,
) -> Questions:
    """Tokens of prompts and of their answers.

    Args:
        d_vocab: of the model: its logits may have more columns than the tokenizer has tokens.
        prepend_bos: as the model's dictionary was trained.
    Raises:
        ValueError: no prompt, a prompt with an unknown word, an answer that is not one known token, or one beyond d_vocab.
    """
    tokens = {word: answer_token(tokenizer, word) for each in asked for word in (*each.before, *each.after)}
    if tokens and max(tokens.values()) >= d_vocab:
        raise ValueError(
            f"answers are below the model's {d_vocab} tokens; got {max(tokens.values())}; take its tokenizer"
        )
    before, after = (np.zeros((len(asked), d_vocab), bool) for _ in range(2))
    for row, each in enumerate(asked):
        before[row, [tokens[word] for word in each.before]] = True
        after[row, [tokens[word] for word in each.after]] = True
    texts = tuple(each.text for each in asked)
    return Questions(
        prompts=encode_prompts(tokenizer, texts, prepend_bos=prepend_bos),
        texts=texts,
        before=before,
        after=after,
        exact=np.array([NO_TOKEN if each.exact is None else tokens[each.exact] for each in asked], np.int64),
        forms=np.array([each.form for each in asked], np.int64),
        min_probability=min_probability,
    )
