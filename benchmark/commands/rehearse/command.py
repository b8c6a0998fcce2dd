"""The verb ``rehearse``: the paper's run with files that it makes itself."""

import sys
import time
from pathlib import Path

from benchmark.api.errors import UserError, one_line
from benchmark.commands.options import device_named, require_writable
from benchmark.commands.output import with_paths
from benchmark.commands.rehearse import stages
from benchmark.commands.rehearse.assets import build_assets
from benchmark.commands.rehearse.datasets import build_datasets
from benchmark.commands.rehearse.outcome import Rehearsal, read_reports, read_stages, to_markdown
from benchmark.commands.rehearse.stages import Stage
from benchmark.commands.rehearse.steps import REPORTS, steps
from benchmark.profiles import rehearsal
from datasets.tools.files import BusyError, owned
from datasets.tools.typed_json import printable


def rehearse(out: Path, device: str) -> int:
    """Rehearse the paper's run in a folder; returns the exit code: 1 if something failed.

    A step that fails does not stop those that do not need it. A second call in the same folder
    goes on with the steps that have not run to their end.

    Args:
        out: the folder; all that is made lies in it.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UserError: an option that cannot be followed.
        KeyboardInterrupt: the user stopped it; what is finished is kept.
    """
    require_writable(out)
    try:
        with owned(out, "rehearsal"):
            found = _Rehearsal(out.resolve(), device_named(device)).run()
    except BusyError as error:
        raise UserError(str(error)) from error
    print(with_paths(to_markdown(found), found.write(out)))
    return int(found.failed)


class _Rehearsal:
    """The steps in a folder, one after the other."""

    def __init__(self, folder: Path, device: str):
        self._folder, self._device = folder, device
        self._before = read_stages(folder)
        self._stages: dict[str, Stage] = {}

    def run(self) -> Rehearsal:
        environment = self._files()
        if environment is not None:
            size = rehearsal().unimo.width
            every = steps(device=self._device, size=size, processes=_processes(self._device))
            for stage in stages.follow(every, self._folder, environment, self._before):
                self._add(stage)
        return self._found(complete=True)

    def _files(self) -> dict[str, str] | None:
        """Write the files of the rehearsal; return the variables that name them."""
        started, environment, reason = time.monotonic(), None, ""
        try:
            assets = build_assets(self._folder / "assets", rehearsal().unimo)
            build_datasets(self._folder / "roots")
            environment = stages.environment_of(assets)
        except Exception as error:  # of whatever file: the table says it
            reason = one_line(error)
        stage = Stage(
            name="files with random weights",
            status="failed" if reason else "ran",
            reason=reason,
            seconds=round(time.monotonic() - started, 1),
            unseen="the official files themselves",
        )
        known = self._before.get(stage.name)  # from when they were made
        self._add(known if known and known.status == stage.status == "ran" else stage)
        return environment

    def _add(self, stage: Stage) -> None:
        self._stages[stage.name] = stage
        reason = f": {stage.reason}" if stage.reason else ""
        line = f"{stage.name}: {stage.status}{reason} ({stage.seconds:.0f} s)"
        print(printable(line), file=sys.stderr, flush=True)
        self._found(complete=False).write(self._folder)

    def _found(self, *, complete: bool) -> Rehearsal:
        exhibits, runs = read_reports(self._folder / REPORTS) if complete else ((), ())
        # Stages to come keep what is known of them, should this call be stopped.
        rest = {} if complete else {k: v for k, v in self._before.items() if k not in self._stages}
        return Rehearsal(
            device=self._device,
            stages=(*self._stages.values(), *rest.values()),
            exhibits=exhibits,
            runs=runs,
        )


def _processes(device: str) -> int:
    """Return the processes of torchrun: a GPU each, or two on a CPU."""
    if device != "cuda":
        return 2
    import torch

    return torch.cuda.device_count()
