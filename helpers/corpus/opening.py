"""From typed parameters to a corpus."""

from __future__ import annotations

from helpers.corpus.documents import Corpus
from helpers.corpus.readers import HubCorpus, LocalCorpus
from helpers.corpus.story_world import StoryWorld
from helpers.params import CorpusParams, LocalCorpusParams, StoryWorldParams
from helpers.storage import project_path


def open_corpus(params: CorpusParams) -> Corpus:
    """The corpus that `params` describe.

    Raises:
        ValueError: nothing there, or no document in it.
    """
    corpus: Corpus
    if isinstance(params, StoryWorldParams):
        return StoryWorld(seed=params.seed, split=params.split)
    if isinstance(params, LocalCorpusParams):
        corpus = LocalCorpus(project_path(params.path), text_field=params.text_field)
    else:
        corpus = HubCorpus(
            params.name,
            config=params.config,
            split=params.split,
            revision=params.revision,
            text_field=params.text_field,
        )
    if next(corpus.documents(), None) is None:
        raise ValueError(
            f"expected texts in {corpus.name}; got none; check the path, the split and '{params.text_field}'"
        )
    return corpus
