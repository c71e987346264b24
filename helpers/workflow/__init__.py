"""What a notebook needs to be a stage of a study; running studies is helpers.workflow.study_run."""

from helpers.workflow.stage import Stage, start_stage

__all__ = ["Stage", "start_stage"]
