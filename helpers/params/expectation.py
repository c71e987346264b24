"""What a run of a study needs, and what it should find: written beside the parameters of a preset."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Expectation(BaseModel):
    """Estimates for one GPU, and the published figure that the study reproduces."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minutes: float = Field(gt=0, description="on one A100 or better, without the downloads")
    gpu_gib: float = Field(gt=0, description="memory of the GPU that the largest stage takes, GiB")
    disk_gib: float = Field(gt=0, description="downloads and results, GiB")
    derived: str = Field(min_length=1, description="how these numbers were got")
    published: str = Field(
        min_length=1, description="the published figure, with its source; 'none known to us' where there is none"
    )

    def lines(self) -> list[str]:
        """For the terminal."""
        return [
            f"expected: {self.minutes:g} minutes, {self.gpu_gib:g} GiB of GPU memory, {self.disk_gib:g} GiB of disk",
            f"  ({self.derived})",
            f"published: {self.published}",
        ]
