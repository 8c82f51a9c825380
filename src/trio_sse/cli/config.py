"""The TOML file of settings: its keys are the names of the command's options.

Gives the command its defaults, so that the precedence is: flag, environment, file, default.

Refuses: a key that no option has, and a value of another type than the option's. A setting
that is silently ignored is one that somebody relies on.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

import click

from .options import OrOff, Size

__all__ = ["read_config"]


def read_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Read the TOML file `value` into the command's defaults; the callback of --config.

    Keys are the options' long names, with dashes or underscores. Raises click.BadParameter.
    """
    if value is None:
        return None
    options = {
        each.name: each
        for each in ctx.command.params
        if isinstance(each, click.Option) and each.name not in (None, param.name)
    }
    settings: dict[str, Any] = {}
    for key, setting in _load(value).items():
        option = options.get(key.replace("-", "_"))
        if option is None:
            raise click.UsageError(f"{value}: {_unknown(key, list(options))}", ctx)
        settings[key.replace("-", "_")] = _checked(value, key, option, setting, ctx)
    ctx.default_map = settings
    return value


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path} is not UTF-8 text, as TOML must be.") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{path} is not valid TOML: {error}.") from error


def _unknown(key: str, known: list[str | None]) -> str:
    names = sorted(name.replace("_", "-") for name in known if name)
    # The cut-off 0: there is always a nearest one, and it costs nothing to name it.
    nearest = difflib.get_close_matches(key.replace("_", "-"), names, n=1, cutoff=0)
    return f"there is no setting {key!r}; the nearest one is {nearest[0]!r}."


def _checked(
    path: Path, key: str, option: click.Option, setting: object, ctx: click.Context
) -> object:
    """Return the setting if the option takes such a value. click alone would take true for 1."""
    if isinstance(option.type, OrOff) and setting == "off":
        return setting
    values = setting if option.multiple and isinstance(setting, list) else [setting]
    types, wanted = _python_types(option)
    if isinstance(option.type, OrOff):
        wanted += ", or 'off'"
    for value in values:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise click.UsageError(f"{path}: {key} must be {wanted}, not {value!r}.", ctx)
        try:
            option.type.convert(value, None, ctx)
        except click.BadParameter as error:
            raise click.UsageError(f"{path}: {key}: {error.message}", ctx) from error
    return values if option.multiple else setting


def _python_types(option: click.Option) -> tuple[tuple[type, ...], str]:
    """Return what TOML may hold for an option, and how to say it."""
    match option.type.inner if isinstance(option.type, OrOff) else option.type:
        case click.types.BoolParamType():
            return (bool,), "true or false"
        case Size():
            return (int, str), "a number of bytes or a text such as '64MiB'"
        case click.types.IntParamType():
            return (int,), "a whole number"
        case click.types.FloatParamType():
            return (int, float), "a number of seconds"
    return (str,), "a list of texts" if option.multiple else "a text"
