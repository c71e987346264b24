"""Where texts come from: typed parameters of every corpus kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoryWorldParams(_Strict):
    """The built-in story world: endless seeded English stories whose words carry known concepts."""

    kind: Literal["story_world"] = "story_world"
    seed: int = Field(0, ge=0, description="seed of the world; with `split` it fixes every document")
    split: str = Field(
        "train", min_length=1, description="name of an independent sample of documents of the same world"
    )


class LocalCorpusParams(_Strict):
    """Texts in local files: .txt (a document a blank-line-separated block), .jsonl or .parquet."""

    kind: Literal["local"]
    path: str = Field(
        min_length=1, description="a file, or a folder whose .txt/.jsonl/.parquet files are read in name order"
    )
    text_field: str = Field(
        "text", min_length=1, description="the column or key that holds the text (.jsonl, .parquet)"
    )


class HubCorpusParams(_Strict):
    """A Hugging Face dataset, streamed."""

    kind: Literal["hub"]
    name: str = Field(
        min_length=1, description="dataset name on the Hub, e.g. roneneldan/TinyStories, or a local dataset folder"
    )
    config: str | None = Field(None, description="dataset configuration, if it has several")
    split: str = Field("train", min_length=1)
    revision: str | None = Field(None, description="commit or tag to pin")
    text_field: str = Field("text", min_length=1)


CorpusParams = Annotated[StoryWorldParams | LocalCorpusParams | HubCorpusParams, Field(discriminator="kind")]
