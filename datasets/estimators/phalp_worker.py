"""4D-Humans within the user's own installation, without any of our modules.

Started by `datasets.tools.isolated.worker_main`, with that installation's interpreter. Checked
against the public sources of shubham-goel/4D-Humans (6ec7965) and brjathu/PHALP (96f7e6c); never
run with their weights.
"""

import contextlib
import io
import os
import sys


def start(options):
    """Load the networks, as the command line of ``track.py`` does.

    Args:
        options: ``home``, the folder of ``track.py``; ``out``, a folder for what it writes.
    """
    os.chdir(options["home"])
    sys.path.insert(0, options["home"])
    import track
    from omegaconf import OmegaConf

    config = OmegaConf.structured(track.Human4DConfig)
    config.video.output_dir = options["out"]
    config.video.end_frame = -1  # else frames from 1300 on are dropped
    config.render.enable = False
    config.overwrite = True
    tracker = track.HMR2_4dhuman(config)
    return {}, lambda request: _track(tracker, request)


def _track(tracker, request):
    """Track the people of one video; a call begins without any track of another.

    Args:
        tracker: the networks. It catches its own errors and prints them.
        request: ``video``, an mp4; ``out``, the folder for its results.
    """
    tracker.cfg.video.source = request["video"]
    tracker.cfg.video.output_dir = request["out"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        tracker.track()
    return {"said": said.getvalue()[-2000:]}
