"""The command line: verbs, one way to print answers, one way to print errors, the published exit codes.

stdout is data, stderr is talk. Nothing heavy is imported here: a verb loads what it needs when it is called.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import TracebackType

import click

from tunewright.schema import jsonio
from tunewright.schema.errors import EnvironmentMissing, Exit, TunewrightError, UsageError

EXTRA_OF = {
    **dict.fromkeys(("torch", "transformers", "peft", "tokenizers", "accelerate", "datasets"), "train"),
    "matplotlib": "plots",
}
EXTRA_OF |= dict.fromkeys(("starlette", "uvicorn"), "board")
"""Packages that only some verbs need, and the extra of ours that installs them."""

VERBS = {
    **dict.fromkeys(("check", "plan"), "plan_verbs"),
    **dict.fromkeys(("train", "tune", "exam"), "run_verbs"),
    "sweep": "sweep_verb",
    **dict.fromkeys(("bakeoff", "chat", "merge"), "model_verbs"),
    **dict.fromkeys(("watch", "diagnose", "next", "report", "explain", "env"), "read_verbs"),
    "runs": "runs_verbs",
    "export": "export_verb",
    "board": "board_verb",
}
"""Each verb and the module it is in, in the order of the help."""


class Verbs(click.Group):
    """Loads the module of a verb when the verb is called or listed."""

    def list_commands(self, ctx: click.Context | None = None) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            self.commands = self.every()  # click looks for the nearest name there
            return None
        module = importlib.import_module(f"tunewright.cli.{VERBS[cmd_name]}")
        command: click.Command = getattr(module, "next_" if cmd_name == "next" else cmd_name)
        return command

    def every(self) -> dict[str, click.Command]:
        """All verbs by name."""
        found = {name: self.get_command(None, name) for name in VERBS}
        return {name: command for name, command in found.items() if command is not None}


app = Verbs(
    "tunewright",
    help="Fine-tuning of language models that finds its own sweet spot.",
    epilog="Try: tunewright tune demo",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point of the ``tunewright`` command."""
    sys.excepthook = report_bug
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Every error a user can cause becomes one line (or one JSON)."""
    wants_json = "--json" in arguments
    try:
        code = app.main(list(arguments) or ["--help"], prog_name="tunewright", standalone_mode=False)
        return int(code) if isinstance(code, int) else Exit.OK
    except TunewrightError as error:
        error.hint = error.hint or _help_of(error, arguments)
        return fail(error, wants_json)
    except click.ClickException as error:
        return fail(UsageError(error.format_message(), hint=_help_for(error)), wants_json)
    except (KeyboardInterrupt, click.Abort):
        return fail(TunewrightError("stopped at once", code="interrupted"), wants_json, Exit.INTERRUPTED)
    except ModuleNotFoundError as error:
        return fail(_not_installed(error), wants_json)
    except BrokenPipeError:  # the reader of our output (head, less) went away: nothing is wrong
        sys.stderr.close()
        return Exit.OK


def _not_installed(error: ModuleNotFoundError) -> TunewrightError:
    """Which of our extras would bring the missing package; any other missing module is a bug and raised again."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRA_OF:
        raise error
    extra = EXTRA_OF[package]
    hint = f'pip install "tunewright[{extra}]"'
    return EnvironmentMissing(f"this needs {package}, which is not installed", hint=hint)


def _help_of(error: TunewrightError, arguments: Sequence[str]) -> str:
    """The help of the verb that was called, for a mistake that names no better next step."""
    words = [word for word in arguments if not word.startswith("-")]
    named = words[:2] if words[:1] == ["runs"] else words[:1]
    return f"tunewright {' '.join(named)} --help" if error.exit_code == Exit.USAGE and named else ""


def _help_for(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context else "tunewright --help"


def fail(error: TunewrightError, wants_json: bool, code: int | None = None) -> int:
    """Print an error in one line with its next command, as JSON on stdout when asked for."""
    if wants_json:
        said = {"code": error.code, "message": error.message, "hint": error.hint}
        sys.stdout.buffer.write(jsonio.document({"error": said}))
        sys.stdout.flush()
    else:
        sys.stderr.write("error: " + one_line(error.message) + "\n")
        sys.stderr.write(f"hint: {one_line(error.hint)}\n" if error.hint else "")
    return int(error.exit_code if code is None else code)


def one_line(text: str) -> str:
    """``text`` without line breaks or control characters: what a file contains must not steer a terminal.

    >>> one_line("a\\nb\\x1b[31m")
    'a b?[31m'
    """
    return "".join(" " if char in "\r\n\t" else char if char.isprintable() else "?" for char in text)


def report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What is left after :func:`run` is our mistake: show where, and ask for a report."""
    import traceback

    traceback.print_exception(kind, error, trace)
    sys.stderr.write("\nerror: this is a bug in Tunewright, not in what you did.\n")
    sys.stderr.write("hint: please report it with the lines above and the output of: tunewright env\n")


if __name__ == "__main__":
    main()
