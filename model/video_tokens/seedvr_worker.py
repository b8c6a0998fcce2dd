"""SeedVR within the user's own clone, without any of our modules.

Started by `datasets.tools.isolated.worker_main`, with that installation's interpreter. Checked
against the public source of ByteDance-Seed/SeedVR (673b5637); never run with the released weights.
"""

import os
import sys


def start(options):
    """Load the networks, as the program's own command line does.

    Args:
        options: ``home``, the folder of the clone.
    """
    os.chdir(options["home"])  # the program names its files relative to it
    sys.path.insert(0, options["home"])
    from projects import inference_seedvr_3b as program

    runner = program.configure_runner(1)
    return {}, lambda request: _enhance(program, runner, request)


def _enhance(program, runner, request):
    """Enhance the videos of a folder.

    The program seeds its noise once a call, and draws it video after video: with a call for each
    video, what it makes depends on no other.

    Args:
        program: its module.
        runner: its networks.
        request: arguments of the program's function by name.
    """
    program.generation_loop(runner, sp_size=1, **request)
    return {}
