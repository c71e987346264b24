"""Does steering work? Tasks with expected answers, sweeps of settings, side effects, fluency, and what chance reaches."""

from helpers.steering.scores.arms import (
    SPACES,
    WAYS,
    Arm,
    Space,
    Trial,
    Way,
    cleaned_sum,
    dictionary_sum,
    random_arms,
    shuffled_arms,
    trials,
)
from helpers.steering.scores.choice import Choice, Score, best_trial, score_choice
from helpers.steering.scores.experiment import Bench, TaskArms, TaskRun
from helpers.steering.scores.fluency import Continuations, plain_surprise, steered_continuations
from helpers.steering.scores.intervals import Interval, share_interval
from helpers.steering.scores.questions import Judged, Questions, answer_token, encode_questions
from helpers.steering.scores.sweep import Sweep, run_sweep
from helpers.steering.scores.tables import SteeringTask, SteeringTasks, TaskPrompt, read_steering_tasks

__all__ = [
    "SPACES",
    "WAYS",
    "Arm",
    "Bench",
    "Choice",
    "Continuations",
    "Interval",
    "Judged",
    "Questions",
    "Score",
    "Space",
    "SteeringTask",
    "SteeringTasks",
    "Sweep",
    "TaskArms",
    "TaskPrompt",
    "TaskRun",
    "Trial",
    "Way",
    "answer_token",
    "best_trial",
    "cleaned_sum",
    "dictionary_sum",
    "encode_questions",
    "plain_surprise",
    "random_arms",
    "read_steering_tasks",
    "run_sweep",
    "score_choice",
    "share_interval",
    "shuffled_arms",
    "steered_continuations",
    "trials",
]
