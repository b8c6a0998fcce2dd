"""The origin of a result as typed records: code, machine, clips, body and runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from datasets.tools.typed_json import Record, decode


@dataclass(frozen=True, kw_only=True)
class Git(Record):
    """The code that computed.

    Attributes:
        commit: hash of the commit, or ``unknown``.
        dirty: True if files differed from the commit; None where that is unknown.
    """

    commit: str
    dirty: bool | None


@dataclass(frozen=True, kw_only=True)
class StoreIdentity(Record):
    """A clip store.

    Attributes:
        sha256: of its contents.
        split_rule: that made its splits.
    """

    sha256: str
    split_rule: str


@dataclass(frozen=True, kw_only=True)
class BodyIdentity(Record):
    """A body model.

    Attributes:
        name: such as ``stand-in``.
        sha256: of its file.
    """

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class RunFacts(Record):
    """A finished stage of a row.

    Attributes:
        run_id: of the run in the cache.
        finished: UTC time in ISO format.
        device: ``cpu`` or ``cuda``.
        gpu: model of the GPU.
        seconds: that the stage took.
        git: the code.
    """

    run_id: str
    finished: str = ""
    device: str = ""
    gpu: str | None = None
    seconds: float | None = None
    git: Git | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance(Record):
    """The time, place and means by which a result was made.

    Attributes:
        created: UTC time in ISO format.
        argv: words of the command.
        platform: operating system.
        cpu_cores: number of cores.
        git: the code.
        python: version of the interpreter.
        packages: name -> version, None where it is not installed.
        cpu: model name of the processor.
        options: of the command, with what open ones were resolved to.
        arithmetic: precision of the models and, on a GPU, TF32 and what cuDNN may choose.
        seeds: of the trainings, in ascending order.
        data: name of a store -> what identifies it.
        body: the body model.
        runs: label of a row -> stage -> ``run_id`` and the run's record.
    """

    created: str = ""
    argv: tuple[str, ...] = ()
    platform: str = ""
    cpu_cores: int | None = None
    git: Git | None = None
    python: str = ""
    packages: Mapping[str, str | None]
    cpu: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    arithmetic: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    data: Mapping[str, StoreIdentity] = field(default_factory=dict)
    body: BodyIdentity | None = None
    runs: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    @cached_property
    def run_facts(self) -> dict[str, dict[str, RunFacts]]:
        """Label of a row -> stage -> facts, of all runs.

        Raises:
            ValueError: a run lacks its id, or a fact is of another type.
        """
        known = {field.name for field in fields(RunFacts)}
        return {
            label: {
                stage: decode(
                    RunFacts,
                    {name: record[name] for name in known & record.keys()},
                    f"provenance.runs.{label}.{stage}",
                )
                for stage, record in stages.items()
            }
            for label, stages in self.runs.items()
        }
