"""Task tables: slots filled, parts apart, mistakes named."""

from __future__ import annotations

import pytest
import yaml

from helpers.steering import encode_prompts
from helpers.steering.scores import SteeringTask, SteeringTasks, TaskPrompt, encode_questions, read_steering_tasks
from helpers.steering.scores.templates import WordList, filled

TASKS = "params/data/steering_tasks.yaml"
LISTS = {
    "day": WordList("day", ("Monday", "Tuesday", "Wednesday"), is_cyclic=True),
    "number": WordList("number", ("one", "two", "three")),
}


def test_slots_go_round_in_cyclic_lists_and_stop_at_the_end_of_others():
    found = filled("After {day} is", ["{day+1}", "{day>number}"], LISTS)
    assert [each.prompt for each in found] == ["After Monday is", "After Tuesday is", "After Wednesday is"]
    assert [each.answers for each in found] == [
        (("Tuesday",), ("one",)),
        (("Wednesday",), ("two",)),
        (("Monday",), ("three",)),
    ]
    counted = filled("{number}, {number+1},", ["{number+2}"], LISTS)
    assert [(each.prompt, each.answers) for each in counted] == [("one, two,", (("three",),)), ("two, three,", ((),))]


def test_a_slot_that_the_prompt_does_not_have_is_every_word_of_its_list():
    (first, *_) = filled("After {day} is", ["{number}", "she", ""], LISTS)
    assert first.answers == (("one", "two", "three"), ("she",), ())


def test_a_form_with_two_lists_is_made_for_every_choice():
    found = filled("{day} and {number}", [], LISTS)
    assert len(found) == 9 and found[4].prompt == "Tuesday and two"


@pytest.mark.parametrize(
    ("prompt", "answers", "message"),
    [
        ("After {dya} is", [], "unknown list of words 'dya' in .*; did you mean 'day'"),
        ("After {Day} is", [], "slots are written"),
        ("After {day is", [], "slots are written"),
        ("After {day} is", ["New York"], "an answer is one word or one slot; got 'New York'"),
        ("After {day} is", ["x{day}"], "an answer is one word or one slot"),
        ("After {day} is", ["{day>nmuber}"], "unknown list of words 'nmuber'"),
    ],
)
def test_wrong_slots_are_named(prompt, answers, message):
    with pytest.raises(ValueError, match=message):
        filled(prompt, answers, LISTS)


def test_the_tasks_of_the_suite_are_apart_and_hold_what_they_say():
    tasks = read_steering_tasks(TASKS)
    assert {"weekday_to_month", "weekday_to_number", "counting_down", "he_to_she", "joy_to_sadness"} <= set(tasks.names)
    for task in tasks.tasks:
        parts = [
            set(task.toward),
            set(task.away),
            *({each.text for each in task.part(p)} for p in ("validate", "held_out")),
        ]
        assert sum(map(len, parts)) == len(set().union(*parts))
        assert all(each.before for each in task.held_out)
    month = tasks.task("weekday_to_month").validate[0]
    assert month.text == "Monday, Tuesday, Wednesday," and month.before == ("Thursday",)
    assert len(month.after) == 12 and month.exact == "April"
    up = {each.text: each for each in tasks.task("counting_down").validate}
    assert up["Counting up, he called two, three,"].after == ("two",)
    assert up["Counting up, he called two, three,"].before == ("four",)
    assert "Counting up, he called fourteen, fifteen," not in up  # sixteen is beyond the list
    validated, scored = ({each.text for each in tasks.controls(part)} for part in ("validate", "held_out"))
    assert len(validated) > 40 and len(scored) > 40 and not validated & scored


def test_the_story_world_knows_every_word_of_the_tasks(tokenizer):
    """Prompts of known tokens that fit a short context, and answers of one token each: nothing is found out in a study."""
    tasks = read_steering_tasks(TASKS)
    sides = [texts for task in tasks.tasks for texts in (task.toward, task.away)]
    asked = [task.part(part) for task in tasks.tasks for part in ("validate", "held_out")]
    asked += [tasks.controls(part) for part in ("validate", "held_out")]
    prompts = [encode_prompts(tokenizer, texts) for texts in sides]
    prompts += [encode_questions(tokenizer, each, d_vocab=len(tokenizer)).prompts for each in asked]
    assert max(int(each.lengths.max()) for each in prompts) <= 32


def test_every_held_out_form_is_new():
    """A direction that knows sentence forms only must not win: words are taken out, and what is left is compared."""
    tasks = read_steering_tasks(TASKS)
    listed = yaml.safe_load(open(TASKS, encoding="utf-8"))["words"]  # noqa: SIM115
    words = {word for each in listed.values() for word in each["words"].split()}
    for task in tasks.tasks:
        forms = [
            {" ".join("_" if word.strip(".,") in words else word for word in text.split()) for text in texts}
            for texts in (
                (*task.toward, *task.away, *(each.text for each in task.validate)),
                [each.text for each in task.held_out],
            )
        ]
        assert not forms[0] & forms[1], task.name


def prompt(text: str, before: str = "a", after: str = "b", **options: object) -> TaskPrompt:
    return TaskPrompt(text, (before,) if before else (), (after,) if after else (), **options)


def task(**changes: object) -> SteeringTask:
    parts = {"toward": ("t",), "away": ("w",), "validate": (prompt("v"),), "held_out": (prompt("h"),)}
    return SteeringTask(name="shift", question="?", **{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"held_out": (prompt("v"),)}, "no prompt is used twice, .*; got 'v' in validate and held_out"),
        ({"away": ("t",)}, "got 't' in toward and away"),
        ({"held_out": (prompt("t"),)}, "got 't' in toward and held_out"),
        ({"validate": (prompt("v"), prompt("v"))}, "got 'v' in validate and validate"),
        ({"toward": ()}, "toward needs a prompt; got none"),
        ({"held_out": (prompt("h", after=""),)}, "every prompt has an answer expected after; got none for 'h'"),
        ({"held_out": (prompt("h", before="b"),)}, "an answer is right before or after; got 'b' for both"),
        ({"held_out": (prompt("h", exact="c"),)}, "exact is one of the answers expected after; got 'c'"),
        ({"min_probability": 1.0}, "min_probability is between 0 and 1; got 1.0"),
    ],
)
def test_a_task_that_would_deceive_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        task(**changes)


def test_controls_belong_to_no_task_and_names_differ():
    with pytest.raises(ValueError, match="a control prompt belongs to no task; got 'h' of task 'shift'"):
        SteeringTasks((task(),), (prompt("x"),), (prompt("h"),))
    with pytest.raises(ValueError, match="controls: no prompt is used twice"):
        SteeringTasks((task(),), (prompt("x"),), (prompt("x"),))
    with pytest.raises(ValueError, match="tasks with names that differ; got shift, shift"):
        SteeringTasks((task(), task()), (prompt("x"),), (prompt("y"),))
    tasks = SteeringTasks((task(),), (prompt("x"),), (prompt("y"),))
    with pytest.raises(ValueError, match="unknown steering task 'shfit'; did you mean 'shift'"):
        tasks.task("shfit")


CONTENT = {
    "words": {"day": {"order": "cyclic", "words": "Monday Tuesday"}},
    "tasks": {
        "t": {
            "question": "?",
            "toward": ["one"],
            "away": ["two"],
            "validate": [{"prompt": "{day} is", "before": "{day+1}", "after": "x"}],
            "held_out": [{"prompt": "It is {day},", "before": "{day+1}", "after": "x"}],
        }
    },
    "controls": {"validate": [{"prompt": "c"}], "held_out": [{"prompt": "d"}]},
}


def test_a_file_is_read_strictly(tmp_path):
    path = tmp_path / "tasks.yaml"

    def read(**tasks: object) -> SteeringTasks:
        path.write_text(yaml.safe_dump(CONTENT | {"tasks": {"t": CONTENT["tasks"]["t"] | tasks}}), encoding="utf-8")
        return read_steering_tasks(path)

    assert [each.text for each in read().task("t").held_out] == ["It is Monday,", "It is Tuesday,"]
    with pytest.raises(ValueError, match=r"unknown key 'tasks.t.heldout'"):
        read(heldout=[])
    for key in ("after", "exact"):  # a control's answer is to stay what it is
        with pytest.raises(ValueError, match=rf"unknown key 'controls.*{key}'"):
            path.write_text(
                yaml.safe_dump(
                    CONTENT | {"controls": {"validate": [{"prompt": "c", key: "x"}], "held_out": [{"prompt": "d"}]}}
                )
            )
            read_steering_tasks(path)
    with pytest.raises(ValueError, match=r"missing key 'controls'"):
        path.write_text(yaml.safe_dump({key: CONTENT[key] for key in ("words", "tasks")}), encoding="utf-8")
        read_steering_tasks(path)
    with pytest.raises(ValueError, match="task 't': unknown list of words 'dya'"):
        read(toward=["{dya}"])
    with pytest.raises(ValueError, match="there is no such file"):
        read_steering_tasks(tmp_path / "none.yaml")
