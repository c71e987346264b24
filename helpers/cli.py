"""python -m helpers run | check | list | open: run studies and look at what they left."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

from helpers.params.study import Study, load_study
from helpers.workflow.stages import NOTEBOOKS_VARIABLE, PROJECT_ROOT, StageRun, runs_path

Command = Callable[[argparse.Namespace], int]
STUDIES_FOLDER = Path("params") / "studies"
PROFILES_FOLDER = Path("params") / "profiles"
PROFILE_FILE = "config.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if all went well, 1 if a stage failed, 2 if the input is wrong, 130 if interrupted.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "run":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    options.snakemake_options = [option for option in rest if option != "--"]
    if getattr(options, "notebooks_folder", None):
        os.environ[NOTEBOOKS_VARIABLE] = str(Path(options.notebooks_folder).resolve())
    try:
        return options.function(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f" ({error.filename})" if error.filename else ""
        print(f"error: No space left on device{place}; make room, then the same command goes on", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if options.command == "run":
            print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    from helpers.workflow.study_run import run_study  # late: brings in torch

    study = _load(options)
    outcome = run_study(
        study,
        cores=options.cores or (None if options.profile else os.cpu_count() or 1),
        profile=_profile(options.profile) if options.profile else None,
        until=options.until,
        force=options.force,
        snakemake_options=options.snakemake_options,
    )
    if outcome.succeeded and not outcome.executed:
        print(f"study {study.name}: everything is up to date, nothing was run")
    for failure in outcome.failures:
        print(f"\n{failure}")
    if outcome.not_reached:
        print(f"\nnot run: {', '.join(map(str, outcome.not_reached))}")
    if outcome.problem:
        print(f"\n{outcome.problem}")
    if outcome.failures or outcome.problem:
        print("\nWhat is finished stays; the same command goes on from there.")
    headlines = [(result, entry) for result in outcome.results for entry in result.headline]
    if headlines:
        print(f"\n{study.title}")
        width = max(len(entry["label"]) for _, entry in headlines)
        for result, entry in headlines:
            detail = f"   {entry['detail']}" if entry["detail"] else ""
            print(f"  {entry['label']:<{width}}  {entry['value']}{detail}   [{result.stage}/{result.run}]")
    if outcome.report:
        print(f"\nreport: {outcome.report}")
    return 0 if outcome.succeeded else 1


def _check(options: argparse.Namespace) -> int:
    from helpers.workflow.costs import check_room, shown_bytes, study_costs
    from helpers.workflow.freshness import results_folder, study_status

    study = _load(options)
    print(f"{study.path}: good\n\n{study.title}\n{study.description}\n")
    if study.expect:
        print("\n".join([*study.expect.lines(), ""]))
    costs = study_costs(study)
    print(f"  {'':<36}{'time':>9}{'memory':>11}{'+ mapped':>11}{'disk':>11}")
    for status in study_status(study):
        cost = costs[status.stage_run]
        mapped = shown_bytes(cost.mapped) if cost.mapped else ""
        numbers = f"{_duration(cost.seconds):>9}{shown_bytes(cost.memory):>11}{mapped:>11}{shown_bytes(cost.disk):>11}"
        print(f"  {status.stage_run!s:<36}{numbers}  {status.state:<8} {status.reason}")
        if status.is_fresh:
            del costs[status.stage_run]
    for note in dict.fromkeys(cost.notes for cost in costs.values() if cost.notes):
        print(f"  ({note})")
    seconds = [cost.seconds for cost in costs.values() if cost.seconds is not None]
    disk = shown_bytes(sum(cost.disk for cost in costs.values()))
    print("  (mapped: activations that are read from the disk; the system takes their pages back when memory is short)")
    print(f"\nstill to do: {_duration(sum(seconds))} of one core of the README's machine, {disk} of disk")
    check_room(costs.values(), folder=results_folder(study))
    return 0


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"  # on a GPU
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:,.0f} h"
    )


def _list(options: argparse.Namespace) -> int:
    from helpers.workflow.freshness import study_status

    files = sorted((PROJECT_ROOT / STUDIES_FOLDER).glob("*.yaml"))
    good = True
    for file in files:
        try:
            study = load_study(file.relative_to(PROJECT_ROOT), runs_folder=options.runs_folder)
            statuses = study_status(study)
        except ValueError as error:
            print(f"{file.name}: {error}\n")
            good = False
            continue
        print(f"{study.name}: {study.title}   ({STUDIES_FOLDER / file.name})")
        for status in statuses:
            print(f"  {status.stage_run!s:<32} {status.state:<8} {status.reason}")
        print()
    return 0 if good else 2


def _open(options: argparse.Namespace) -> int:
    is_path = options.study.endswith((".yaml", ".yml"))
    file = Path(options.study) if is_path else STUDIES_FOLDER / f"{options.study}.yaml"
    is_file = is_path or (PROJECT_ROOT / file).exists()
    name = _load(options).name if is_file else options.study
    page = runs_path(options.runs_folder) / name / "report" / "index.html"
    if not page.exists():
        raise ValueError(
            f"{page} is not there yet; make it with: python -m helpers run {file if is_file else '<its YAML file>'}"
        )
    print(page)
    if sys.stdout.isatty():
        webbrowser.open(page.as_uri())
    return 0


def _stage(options: argparse.Namespace) -> int:
    from helpers.workflow.execute import execute_stage, print_line

    failure = execute_stage(Path(options.folder).resolve(), StageRun(options.stage, options.run), show=print_line)
    return 1 if failure else 0


def _report(options: argparse.Namespace) -> int:
    from helpers.workflow.study_run import make_report

    make_report(Path(options.folder).resolve())
    return 0


def _profile(name: str) -> Path:
    """The folder of a Snakemake profile: a folder, or the name of one in params/profiles.

    Raises:
        ValueError: there is no such profile.
    """
    profiles = PROJECT_ROOT / PROFILES_FOLDER
    for folder in (Path(name), profiles / name):
        if (folder / PROFILE_FILE).is_file():
            return folder.resolve()
    known = ", ".join(sorted(path.parent.name for path in profiles.glob(f"*/{PROFILE_FILE}")))
    raise ValueError(f"there is no profile '{name}': expected a folder with {PROFILE_FILE}, or one of {known}")


def _load(options: argparse.Namespace) -> Study:
    """The study of a file, or of a name under params/studies."""
    path = Path(options.study)
    by_name = PROJECT_ROOT / STUDIES_FOLDER / f"{options.study}.yaml"
    if not path.exists() and by_name.exists():
        path = by_name
    elif not path.exists() and not path.is_absolute() and (PROJECT_ROOT / path).exists():
        path = PROJECT_ROOT / path
    return load_study(path, runs_folder=options.runs_folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers", description="Compare the feature spaces of models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="run | check | list | open")

    def command(name: str, function: Command, text: str, *, study: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        if study:
            sub.add_argument("study", help="a study file, or the name of one in params/studies")
        sub.add_argument("--runs-folder", default="runs", help="folder of all results (default: runs)")
        return sub

    run = command("run", _run, "run what is not up to date, then the report", study=True)
    run.add_argument("--cores", type=_positive, help="CPU cores to use (default: all; with a profile: what it says)")
    run.add_argument("--profile", metavar="NAME", help="where to run: a folder of params/profiles, e.g. slurm")
    run.add_argument("--until", metavar="STAGE", help="stop after this stage, e.g. 02_train_saes")
    run.add_argument("--force", metavar="STAGE", action="append", default=[], help="run this stage again")
    run.add_argument("--notebooks-folder", help="take the notebooks from here")
    run.epilog = "Other options go to Snakemake, e.g. --jobs 20."
    command("check", _check, "check a study file, show its plan and what it will need; runs nothing", study=True)
    command("list", _list, "list studies and their stages, with what is out of date and why")
    command("open", _open, "print where the report of a study is, and open it", study=True)
    # Called by the workflow; help does not list them.
    for name, function, names in (
        ("stage", _stage, ("folder", "stage", "run")),
        ("report", _report, ("folder",)),
    ):
        sub = commands.add_parser(name)
        sub.set_defaults(function=function)
        for argument in names:
            sub.add_argument(argument)
    return parser


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return value
