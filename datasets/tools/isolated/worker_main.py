"""The tool's side of `worker`: runs in the tool's own environment, standard library only.

``python -I worker_main.py SCRIPT`` reads one JSON object a line on stdin and answers each with one
line on stdout. SCRIPT defines ``start(options)``, which is called with the first message and
returns what to answer and the function that answers all others. Both may print: what they write to
stdout goes to stderr, the answers leave by a file descriptor of their own.

It must lead a process group: the whole group ends with stdin, which is to say also when whoever
asks is killed, and in the middle of a request.
"""

import json
import os
import queue
import runpy
import signal
import sys
import threading
import traceback


def main():
    """Answer until stdin ends."""
    # Before the tool is imported: from here on nothing but answers reaches the real stdout, whether
    # Python, a library in C or a child process writes it.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)  # nor does the tool read our questions
    asked = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(questions, asked), daemon=True).start()
    handle = None
    while True:
        message = json.loads(asked.get())
        number = message.pop("id")
        try:
            if handle is None:
                answer, handle = runpy.run_path(sys.argv[1])["start"](message)
            else:
                answer = handle(message)
            text = json.dumps({**answer, "id": number})
        except BaseException as error:  # libraries call sys.exit, too
            traceback.print_exc()
            what = " ".join(str(error).split())
            text = json.dumps({"id": number, "error": f"{type(error).__name__}: {what}"})
        answers.write(text + "\n")
        answers.flush()


def _listen(questions, asked):
    for line in questions:
        asked.put(line)
    os.killpg(0, signal.SIGKILL)  # with the tool's own children


if __name__ == "__main__":
    main()
