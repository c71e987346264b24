"""The story world's tokens."""

from tests.saes.conftest import tokenizer, tokens, world  # noqa: F401 (fixtures)
