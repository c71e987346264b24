"""What a corpus knows about itself: questions with answers, and the concept of every token. Only the story world does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from helpers.corpus.documents import Corpus
from helpers.corpus.story_world import Probe, StoryWorld

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: What a model must know before its features are worth comparing: the order of days, months and numbers, and agreement.
CORE_PROBE_KINDS = ("weekday", "month", "count_up", "count_down", "pronoun")


def probes_of(corpus: Corpus, *, n_probes: int = 100) -> list[Probe]:
    """`n_probes` questions of every kind that the corpus knows the answers to; none for a corpus that knows none."""
    if not isinstance(corpus, StoryWorld):
        return []
    return [probe for kind in corpus.probe_kinds for probe in corpus.probes(kind, n_probes=n_probes)]


def concept_lookup(corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> Callable[[int], str | None] | None:
    """Token id -> its known concept (None for tokens without one); None for a corpus without known concepts."""
    if not isinstance(corpus, StoryWorld):
        return None
    return lambda token_id: corpus.concept_of(str(tokenizer.decode([token_id])))


def kind_lookup(corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> Callable[[int], str | None] | None:
    """As `concept_lookup`, for the widest kind of the token's concept: Monday is a weekday, that is calendar, that is time."""
    concept_of = concept_lookup(corpus, tokenizer)
    if concept_of is None or not isinstance(corpus, StoryWorld):
        return None
    wider = corpus.taxonomy

    def kind_of(token_id: int) -> str | None:
        kind = concept_of(token_id)
        while kind in wider:
            kind = wider[kind]
        return kind

    return kind_of


def concept_words(corpus: Corpus) -> dict[str, tuple[str, ...]]:
    """Concept -> its words, the most frequent first; empty for a corpus without known concepts."""
    return corpus.concepts if isinstance(corpus, StoryWorld) else {}
