"""Runs commands of a tool, in the process group of `datasets.tools.isolated.worker_main`."""

import subprocess


def start(options):
    """Nothing to load: every request is a process.

    Args:
        options: ``folder``, where the commands run.
    """
    return {}, lambda request: _run(request["command"], options["folder"])


def _run(command, folder):
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return {"said": done.stdout.decode(errors="replace")[-2000:]}
