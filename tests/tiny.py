"""Sizes of the tiny models that tests build (see the conftest files)."""

HOOK = "blocks.0.hook_resid_post"
CONTEXT = 64
