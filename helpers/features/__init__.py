"""What a feature fires on: top examples and their contexts, whole words, labels."""

from helpers.features.contexts import Context, context_text, context_texts, example_contexts, token_texts
from helpers.features.examples import TopExamples, majority_concepts, top_examples
from helpers.features.labels import FeatureTable, describe_features
from helpers.features.words import WordTable, build_words

__all__ = [
    "Context",
    "FeatureTable",
    "TopExamples",
    "WordTable",
    "build_words",
    "context_text",
    "context_texts",
    "describe_features",
    "example_contexts",
    "majority_concepts",
    "token_texts",
    "top_examples",
]
