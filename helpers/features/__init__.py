"""What a feature fires on: top examples and their contexts."""

from helpers.features.contexts import Context, context_text, context_texts, example_contexts, token_texts
from helpers.features.examples import TopExamples, majority_concepts, top_examples

__all__ = [
    "Context",
    "TopExamples",
    "context_text",
    "context_texts",
    "example_contexts",
    "majority_concepts",
    "token_texts",
    "top_examples",
]
