"""``python -m tests.campaign``: what is kept, damaged; commands killed; commands at once.

No part of the tests: an hour on two cores. Exit code 1 where damage was silently used or ended in a
traceback, where a killed command did not end in equal results, left a process or a file behind, or
where two commands in one folder lost something. Every such case is printed with the options that
do it again.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: forks must find no threads


def main() -> int:
    """Run the campaign; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--damage", type=int, default=1000, metavar="N", help="cases (1000)")
    parser.add_argument("--kills", type=int, default=150, metavar="N", help="cases (150)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of two at once (3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", default="", metavar="KIND", help="a row of the tables; KIND:NUMBER for one case"
    )
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    from tests.campaign.damages import Damages, run_damages
    from tests.campaign.home import Home
    from tests.campaign.kills import Kills, run_kills, run_rivals
    from tests.campaign.world import World

    start = time.monotonic()
    damages, kills = Damages(), Kills()
    options = (args.seed, args.only)
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        home = Home(Path(temporary))
        world = World(home, Path(temporary))
        try:
            world.build()
            run_damages(home, world, args.damage, *options, damages)
            run_kills(home, world, args.kills, *options, kills)
            run_rivals(home, world, args.rounds, *options, kills)
        except KeyboardInterrupt:
            print("stopped; this is what was done", file=sys.stderr)
    bad = [*damages.bad, *kills.bad]
    print(f"seed {args.seed}, {os.uname().machine}, {os.cpu_count()} cores", end=", ")
    print(f"{time.monotonic() - start:.0f} s\n", damages.table(), kills.table(), sep="\n\n")
    print("\n".join(["", *bad]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
