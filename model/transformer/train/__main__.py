"""``python -m model.transformer.train --out DIR``: train the transformer (section 3.3).

On the built-in shots with the codec and the tokenizer that ship with the package, unless told
otherwise. A run that was stopped goes on where it was. Under torchrun, the parameters are sharded
over the processes (FSDP2):

    torchrun --nproc-per-node 8 -m model.transformer.train --config paper \\
        --data STORE --tokenizer tokenizer.safetensors --cosmos --out runs/unimo

The folder of a run is a trained system once it is finished (`model.system`): the model with its
sidecar (there, ``skipped_clips`` is how many training clips could not be used, as those with a
damaged video), and the files of motion tokenizer and built-in codec. It also holds ``resume.pt``
(under torchrun a folder ``resume``), the last state, from which the same command goes on where it
was stopped, and one with more ``--steps`` after the end, if the learning rate is constant: as if it
had trained so long from the start. And ``losses.csv``: cross-entropies in nats a token by task and
modality, and of held-out clips, among them ``shuffled_gap``, by which one sees whether the video is
used.
"""

import argparse
import os
import sys
from pathlib import Path

from datasets.tools.command_line import positive, run_command, run_job
from model.sequence import TASKS, VIDEO_ALONE
from model.system import TrainedSystem
from model.training.config import TrainingError
from model.training.device import add_device, device_named
from model.transformer.config import UniMoConfig
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.run import built_in_shots, require_tensorboard, train

_COSMOS = Path("$UNIMO_COSMOS")  # stands for the file there
_EPILOG = """\
the paper's ablations: --tasks v2m, --tasks i2vm, --unified
fine-tuning: --init runs/unimo --data data/threedpw --out runs/unimo-threedpw
exit codes: 0 done, 1 failure, 2 usage, 130 stopped with Ctrl-C (the same command goes on)
"""


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = _parser().parse_args(argv)
    alone = os.environ.get("RANK", "0") == "0"  # torchrun's others work for the first
    return run_job(lambda: _train_in_processes(args), args.out, owner="training" if alone else "")


def _train_in_processes(args: argparse.Namespace) -> Path | None:
    """Train; of several processes, the first says where the model is."""
    from model.transformer.train import distributed

    device = device_named(args.device)
    with distributed.processes(device):
        path = _train(args, device)
        return path if distributed.rank_and_processes()[0] == 0 else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.transformer.train",
        description="Train UniMo's transformer on the tokens of a clip store.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", required=True, type=Path, help="folder of the run")
    parser.add_argument(
        "--data", type=Path, nargs="+", metavar="STORE", help="clip stores; default: built-in shots"
    )
    parser.add_argument("--config", choices=("embedded", "paper", "rehearsal"), default="embedded")
    parser.add_argument(
        "--codec",
        metavar="WHICH",
        help="a fitted codec (.safetensors), a folder with Cosmos DV8x16x16, or linear; default: "
        "that of --init, else embedded: the one that ships with the package, others: Cosmos's in "
        "the folder $UNIMO_COSMOS_TOKENIZER",
    )
    parser.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE",
        help="a motion tokenizer; default: that of --init, else the one that ships here",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--cosmos",
        type=Path,
        nargs="?",
        const=_COSMOS,
        metavar="FILE",
        help="start from Cosmos 4B's model.pt (without FILE: of the folder $UNIMO_COSMOS)",
    )
    start.add_argument(
        "--init",
        type=Path,
        metavar="DIR",
        help="start from a trained system, such as to fine-tune it, with a new optimiser",
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=(*TASKS, VIDEO_ALONE),
        default=list(TASKS),
        help=f"default: both of UniMo's; {VIDEO_ALONE} trains the baseline, video alone",
    )
    parser.add_argument("--unified", action="store_true", help="the ablation Uni-Embed")
    parser.add_argument(
        "--steps", type=positive, help="embedded: 2800, paper: 100000, rehearsal: 2"
    )
    parser.add_argument("--batch-size", type=positive, help="clips of a step, over all processes")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument(
        "--optimizer", choices=("adamw", "muon"), help="embedded: muon, paper: adamw"
    )
    parser.add_argument(
        "--ema",
        dest="ema_decay",
        type=float,
        metavar="DECAY",
        help="keep an average of the weights",
    )
    parser.add_argument("--seed", type=int, default=0)
    add_device(parser)
    parser.add_argument("--tensorboard", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


def _train(args: argparse.Namespace, device: str) -> Path:
    import torch

    from datasets.store.joined import open_stores
    from datasets.tools.files import sha256_of
    from model import assets
    from model.system import TokenizerFiles
    from model.tokenizer import MotionTokenizer
    from model.transformer import UniMo, cosmos_weights
    from model.transformer.train import distributed
    from model.transformer.train.memory import require_room
    from model.transformer.train.token_set import Tokens, require_clips
    from model.video_tokens.choose import open_codec
    from model.video_tokens.cosmos.files import cosmos_file, cosmos_tokenizer

    if args.tensorboard:
        require_tensorboard()
    names = ("steps", "batch_size", "learning_rate", "optimizer", "ema_decay")
    changes = {name: value for name in names if (value := getattr(args, name)) is not None}
    training = getattr(ARTrainingConfig, args.config)(
        tasks=tuple(args.tasks), seed=args.seed, **changes
    )
    # Before the tokens, which may take hours; it is only mapped.
    system = cosmos = None
    if args.init:
        system = TrainedSystem.open(args.init, codec=args.codec, tokenizer=args.tokenizer)
        files = system.files
    else:
        word = args.codec
        if word is None and args.config != "embedded":
            word = str(cosmos_tokenizer())
        files = TokenizerFiles(codec=word, tokenizer=args.tokenizer or assets.TOKENIZER)
    if args.cosmos:
        file = cosmos_file() if args.cosmos == _COSMOS else args.cosmos
        cosmos = cosmos_weights.read(file)
    codec = open_codec(files.codec, device=device)
    tokenizer = MotionTokenizer.load(files.tokenizer)
    config = getattr(UniMoConfig, args.config)(
        unified=args.unified,
        tokens_per_frame=tokenizer.config.tokens_per_frame,
        motion_vocab=tokenizer.config.codebook_size,
    )
    if system is not None:
        _require_sizes(system, config)
    require_room(config, training, args.out, device, distributed.rank_and_processes()[1])
    first_process = distributed.rank_and_processes()[0] == 0
    progress = not args.quiet and first_process
    with distributed.first_process_first():
        store = open_stores(args.data or [built_in_shots(config, progress=progress)])
        require_clips(store, config)
        tokens = Tokens.of(
            store,
            codec,
            tokenizer.to(device),
            mirror=training.mirror,
            progress=progress,
        )
    if tokens.skipped and first_process:
        name, why = next(iter(tokens.skipped.items()))
        print(
            f"{len(tokens.skipped)} training clips cannot be used and are left out; {name}: {why}",
            file=sys.stderr,
        )
    torch.manual_seed(args.seed)
    model, start = UniMo(config) if system is None else UniMo.load(system.weights), "random"
    if cosmos is not None:
        cosmos_weights.load(model, cosmos)
        start = f"cosmos {sha256_of(file)}"
    return train(
        model,
        training,
        tokens,
        args.out,
        device=device,
        start=start,
        system=system,
        files=files,
        keep_state=True,
        progress=progress,
        board=args.tensorboard,
    )


def _require_sizes(system: TrainedSystem, config: UniMoConfig) -> None:
    """Refuse a system of another configuration than the training's.

    Raises:
        TrainingError: the message names the first difference.
    """
    for name, wanted in config.to_dict().items():
        found = system.config.get(name)
        if found != wanted:
            raise TrainingError(
                f"--init {system.weights} has another model ({name} is {found} there, {wanted} "
                "here): give the --config, --unified and tokenizer of its training"
            )


if __name__ == "__main__":
    run_command(main)
