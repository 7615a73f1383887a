"""`kodomo …`: thin; every command calls one function of one room.

Each family of commands is a module of its own here, loaded only when it is called: a terminal should not wait for
MLflow to list a catalogue.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from kodomo_platform.cli.languages import choose, in_japanese, language, say_error, translate, translate_words
from kodomo_platform.errors import KodomoError, UsageError, is_disk_full
from kodomo_platform.installation.rights import keep_private
from kodomo_platform.settings import get_settings

# name → (module, what it is for). A module holds `app` (a family) or a function named `command` (a single command).
_COMMANDS: dict[str, tuple[str, str]] = {
    "setup": (
        "platform_setup",
        "Prepare this installation: operations database, dbt manifest, Dagster and MLflow homes.",
    ),
    "demo": ("demo", "Build the pilots' synthetic extracts and take them from landing to published snapshots."),
    "run": ("run", "Run one municipality through Dagster, from landing files to a published snapshot."),
    "synth": ("synth", "Make a synthetic municipality's extracts, with known truth."),
    "onboard": ("onboard", "Add a municipality from its YAML file."),
    "municipality": ("municipality", "List and check municipality files."),
    "catalog": ("catalog", "Read and export the catalogue of data items."),
    "snapshots": ("snapshots", "List and verify published snapshots."),
    "lineage": ("lineage", "Walk one score back to model, features, records, files and law."),
    "linkage": ("linkage", "History of child ids, undoing merges, training the linkage model."),
    "review": ("review", "Clerical review of record pairs."),
    "evaluate": ("evaluate", "Measure linkage and quality against a known truth."),
    "quality": ("quality", "Quality reports, differences between runs, correction sheets."),
    "model": ("model", "Review, approve, reject and retire models; bench a table."),
    "scores": ("scores", "Show and compare score versions."),
    "governance": ("governance", "Grounds, consents, requests, retention, papers, exports and incidents."),
    "disclose": ("disclose", "Write everything held of one child, for who answers a request."),
    "forget": ("forget", "Take a child out of every copy, with a receipt."),
    "audit": ("audit", "Read the audit log and prove that nothing in it was changed."),
    "portal": ("portal", "The web portal: serve it, make people who may sign in."),
    "doctor": ("doctor", "Look whether this installation is in order; repair files' rights."),
    "storage": ("storage", "Move the embedded databases to PostgreSQL."),
    "ui": ("ui", "Start Dagster's webserver and daemon and MLflow's server together."),
}


class _LazyGroup(TyperGroup):
    """Loads a family of commands when it is called, and not before."""

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        with _wrong_use():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:
        with _wrong_use():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        module_name, summary = _COMMANDS[cmd_name]
        module = importlib.import_module(f"kodomo_platform.cli.{module_name}")
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False)
            app.command()(getattr(module, "command", None) or getattr(module, cmd_name))
        command = get_command(app)
        command.name = cmd_name
        command.short_help = summary
        return translate(command) if language() == "ja" else command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(_said(self.help or ""))
            if language() == "ja":
                formatter.write_text("In English: kodomo --lang en COMMAND, or KODOMO_LANG=en")
        self.format_options(ctx, formatter)  # the commands with them

    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)
        for param in params:
            # one object serves every call of a process: what it said in English is kept beside what it says now
            text = vars(param).setdefault("_english", getattr(param, "help", None))
            if text:
                vars(param)["help"] = _said(text)
        return params

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        # from the table above: asking each module for its help would load them all
        with formatter.section("コマンド" if language() == "ja" else "Commands"):
            formatter.write_dl([(name, _said(summary)) for name, (_, summary) in _COMMANDS.items()])


@contextmanager
def _wrong_use() -> Iterator[None]:
    """What typer says of a command that was called wrongly (an option is missing, a value is none), in Japanese."""
    try:
        yield
    except Exception as error:
        formatted = getattr(error, "format_message", None)  # only typer's own have it
        if formatted is not None and language() == "ja":
            translate_words()
            said = say_error(formatted())
            vars(error)["format_message"] = lambda: said
        raise


def _said(text: str) -> str:
    return in_japanese(text) if language() == "ja" else text


_group = _LazyGroup(
    name="kodomo",
    help="Find children who need help before anyone asks.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _arguments(given: list[str]) -> list[str]:
    """``given`` without a leading ``--lang ja|en``, which is taken note of."""
    if not given or given[0].partition("=")[0] != "--lang":
        return given
    _, _, chosen = given[0].partition("=")
    rest = given[1:] if chosen else given[2:]
    chosen = chosen or "".join(given[1:2])
    if chosen not in ("ja", "en"):
        raise UsageError("unknown language", where="--lang", expected="ja or en")
    choose(chosen)
    return rest


def main() -> None:
    """Entry point: exit code 0 only when everything asked for succeeded, 2 for wrong use, 1 for any other failure."""
    try:
        keep_private(get_settings().home)
        _group(_arguments(sys.argv[1:]))
    except KodomoError as error:
        _fail(error)
    except Exception as error:
        # it can strike anywhere, in libraries' own files too, and is nobody's defect
        if not is_disk_full(error):
            raise
        full = KodomoError(
            f"the disk is full: nothing more can be written below {get_settings().home}",
            expected="room for the rows, the logs and the snapshot",
            action="free some space and run again; the last good snapshot is untouched",
        )
        _fail(full)


def _fail(error: KodomoError) -> NoReturn:
    print(f"{'エラー' if language() == 'ja' else 'error'}: {say_error(error)}", file=sys.stderr)
    raise SystemExit(error.exit_code) from None
