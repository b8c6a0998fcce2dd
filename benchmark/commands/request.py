"""The request of a user to ``run``: the options, checked and resolved."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.api.errors import UserError
from benchmark.api.figure import FigureSpec
from benchmark.api.paths import file_name
from benchmark.api.profile import Profile
from benchmark.api.table import TableSpec
from benchmark.commands.options import as_json, body_file, device_named, require_writable
from benchmark.runs.checkpoints import UserCheckpoint, user_checkpoints
from benchmark.runs.plan import require_patterns, require_rows
from benchmark.runs.work_item import RunContext
from benchmark.runs.workers import default_workers
from datasets.tools.files import hash_lines

_MAX_NAME = 100  # of the reports' folder


@dataclass(frozen=True)
class Options:
    """The options of ``run``, as given; see ``python -m benchmark.run run --help``."""

    data: Sequence[Path]
    test: Path | None
    train: bool
    decoder: str | None
    seedvr: bool
    rows: Sequence[str]
    limit: int | None
    steps: int | None
    seeds: Sequence[int]
    device: str
    workers: int | None
    body: Path | None
    checkpoint: Sequence[Path]
    out: Path
    dry_run: bool
    always: str | None
    retry: bool
    strict: bool
    quiet: bool
    full: bool
    json: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """The request of a user, checked.

    Attributes:
        tables: asked for.
        figures: asked for.
        profile: with the steps of ``--steps``.
        options: as given.
        checkpoints: of ``--checkpoint``.
        context: cache, body and device.
    """

    tables: Sequence[TableSpec]
    figures: Sequence[FigureSpec]
    profile: Profile
    options: Options
    checkpoints: Sequence[UserCheckpoint]
    context: RunContext

    @property
    def folder(self) -> Path:
        """Return the folder of the reports."""
        return self.options.out / folder_name(self.profile, self.options, self.checkpoints)

    @property
    def workers(self) -> int:
        """Number of worker processes."""
        return self.options.workers or default_workers(self.context.device)

    @property
    def resolved(self) -> dict[str, object]:
        """The options as JSON values, with what was chosen where they are left open."""
        return as_json(
            self.options,
            profile=self.profile.name,
            device=self.context.device,
            workers=self.workers,
        )


def make_request(
    tables: Sequence[TableSpec],
    figures: Sequence[FigureSpec],
    profile: Profile,
    options: Options,
) -> Request:
    """Check what is asked for.

    Raises:
        UserError: an option that cannot be followed.
    """
    checkpoints = user_checkpoints(options.checkpoint)
    require_rows(checkpoints, [*tables, *figures])
    if options.steps is not None:
        profile = profile.with_steps(options.steps)
    profile = dataclasses.replace(
        profile, trains=profile.trains or options.train, **_pixels(profile, options)
    )
    require_patterns(options.rows, checkpoints, [*tables, *figures], profile)
    if not options.dry_run:
        require_writable(options.out)
    return Request(
        tables=tables,
        figures=figures,
        profile=profile,
        options=options,
        checkpoints=checkpoints,
        context=RunContext(
            cache=options.out / "runs",
            body=body_file(options.body),
            device=device_named(options.device),
        ),
    )


def _pixels(profile: Profile, options: Options) -> dict[str, Any]:
    """The decoder of generated videos, and whether SeedVR follows, as fields of a profile.

    Raises:
        UserError: the profile's tokens are not Cosmos's.
    """
    from model.video_tokens.seedvr import ENV_HOME

    if options.decoder is not None and profile.codec != "cosmos":
        raise UserError(
            f"--decoder is for Cosmos's tokens: the codec of profile {profile.name} has one decoder"
        )
    decoder = {None: profile.decoder, "dv": "codec", "diffusion": "diffusion"}[options.decoder]
    installed = profile.codec == "cosmos" and bool(os.environ.get(ENV_HOME))
    return {"decoder": decoder, "seedvr": options.seedvr or installed}


def folder_name(profile: Profile, options: Options, checkpoints: Sequence[UserCheckpoint]) -> str:
    """Return the profile's name and, where given, the options that change its numbers.

    As ``embedded-cmu-steps20000-limit4-seeds0,1,2-rows-s-1-36-with-mine-model``: a quick try never
    takes the place of the whole table.
    """
    parts = [profile.name]
    parts += [file_name(path.resolve().name) or "store" for path in options.data]
    if options.test is not None:
        parts.append(f"test-{file_name(options.test.resolve().name)}")
    if options.decoder is not None:
        parts.append(f"decoder-{options.decoder}")
    if options.seedvr:
        parts.append("seedvr")
    if options.steps is not None:
        parts.append(f"steps{options.steps}")
    if options.limit is not None:
        parts.append(f"limit{options.limit}")
    if list(options.seeds) != [0]:
        several = "s" if len(options.seeds) > 1 else ""
        parts.append(f"seed{several}{','.join(map(str, options.seeds))}")
    if options.rows:
        parts += ["rows", *map(file_name, options.rows)]
    if checkpoints:
        parts += ["with", *(file_name(one.label) for one in checkpoints)]
    name = "-".join(filter(None, parts))
    if len(name) > _MAX_NAME:
        name = f"{name[:_MAX_NAME]}-{hash_lines([name])[:8]}"
    return name
