"""Environments of tools, and the processes that run in them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from datasets.tools import isolated
from datasets.tools.isolated.worker import (
    Worker,
    WorkerError,
    WorkerFailed,
    WorkerGone,
    WorkerTimeout,
)
from tests.datasets.tools.process_ends import ends

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A folder of requirements, one of packages, and environments to be built in a third."""
    for name in ("requirements", "packages"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(isolated, "REQUIREMENTS", tmp_path / "requirements")
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path / "tools"))
    for variable in ("GVHMR_PYTHON", "TINY_PYTHON"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def wheel(folder, name):
    """A package that holds one module and needs nothing."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "value = 42\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        file.writestr(f"{info}/RECORD", "")


def require(tools, *packages):
    options = f"--no-index --find-links '{tools / 'packages'}'"
    lines = [line for package in packages for line in (f"# pip install {options}", package)]
    (tools / "requirements" / "tiny.txt").write_text("# About it.\n" + "\n".join(lines))


def test_only_files_with_steps_are_tools(tools):
    require(tools, "tiny_one==1.0")
    (tools / "requirements" / "base.txt").write_text("numpy\n")
    assert isolated.names() == ["tiny"]


def test_gvhmr_is_a_tool_with_torch_pinned_beside_what_needs_it():
    assert "gvhmr" in isolated.names()
    *_, (options, packages) = isolated._steps("gvhmr")
    assert options == [] and {"torch==2.13.0", "gvhmr[preproc]==1.6.1"} <= set(packages)
    assert all("==" in package for _, step in isolated._steps("gvhmr") for package in step)


def test_a_tool_that_is_not_built_says_how(tools):
    require(tools, "tiny_one==1.0")
    with pytest.raises(isolated.ToolMissing, match=r"benchmark\.run setup tiny.*TINY_PYTHON"):
        isolated.python("tiny")


def test_the_users_own_interpreter_comes_first(tools, monkeypatch):
    require(tools, "tiny_one==1.0")
    monkeypatch.setenv("TINY_PYTHON", sys.executable)
    assert isolated.python("tiny") == Path(sys.executable)
    monkeypatch.setenv("TINY_PYTHON", str(tools))
    with pytest.raises(isolated.ToolMissing, match="TINY_PYTHON"):
        isolated.python("tiny")


@pytest.mark.slow  # makes two environments
def test_a_finished_build_is_left_alone_and_an_unfinished_one_is_redone(tools, capfd):
    wheel(tools / "packages", "tiny_one")
    require(tools, "tiny_one==1.0")
    python = isolated.build("tiny")
    assert "Successfully installed tiny_one" in capfd.readouterr().err.replace("-1.0", "")
    found = subprocess.run(
        [python, "-I", "-c", "import tiny_one; print(tiny_one.value)"], capture_output=True
    )
    assert found.stdout == b"42\n" and isolated.python("tiny") == python

    mark = isolated.folder("tiny") / "mark"
    mark.touch()
    isolated.build("tiny")
    assert mark.exists()

    require(tools, "tiny_one==1.0", "tiny_two==1.0")
    with pytest.raises(isolated.ToolMissing, match="other requirements"):
        isolated.python("tiny")
    with pytest.raises(isolated.BuildError, match=r"step 2 of 2 failed, .*tiny_two==1\.0"):
        isolated.build("tiny")
    assert not mark.exists()
    with pytest.raises(isolated.ToolMissing, match="not installed"):
        isolated.python("tiny")


def worker(tmp_path, code, *, options=None, timeout=20, env=None):
    """A worker that runs `code` with our own interpreter."""
    script = tmp_path / "script.py"
    script.write_text(code)
    return Worker(sys.executable, script, env=env or {}, options=options or {}, timeout=timeout)


ECHO = """
import os
def start(options):
    return {"pid": os.getpid(), **options}, lambda message: {"got": message}
"""


def test_a_worker_answers_its_options_and_every_request(tmp_path):
    with worker(tmp_path, ECHO, options={"a": [1, "é"]}) as running:
        assert running.hello["a"] == [1, "é"]
        for text in ("one", "x" * 10**6):
            assert running.request({"text": text}, timeout=20) == {"got": {"text": text}}
    assert ends(running.hello["pid"])


def test_what_a_tool_prints_does_not_reach_the_protocol(tmp_path):
    code = """
import os, subprocess
print("at import")
def start(options):
    print("at start", flush=True)
    return {}, handle
def handle(message):
    print('{"id": 2}')
    os.write(1, b"raw\\n")
    subprocess.run(["echo", "child"])
    return {"read": os.read(0, 10).decode()}
"""
    with worker(tmp_path, code, env={"PATH": os.environ["PATH"]}) as running:
        assert running.request({}, timeout=20) == {"read": ""}
        assert running.request({}, timeout=20) == {"read": ""}


@pytest.mark.parametrize("failure", ["1 / 0", "sys.exit(1)", "raise MemoryError"])
def test_a_tool_that_fails_goes_on(tmp_path, failure):
    code = f"""
import sys
def start(options):
    return {{}}, handle
def handle(message):
    if message["fail"]:
        {failure}
    return {{"fine": True}}
"""
    with worker(tmp_path, code) as running:
        with pytest.raises(WorkerFailed, match=r"ZeroDivisionError|SystemExit|MemoryError"):
            running.request({"fail": True}, timeout=20)
        assert running.request({"fail": False}, timeout=20) == {"fine": True}


DYING = """
import os, signal, sys
def start(options):
    return {{"pid": os.getpid()}}, handle
def handle(message):
    print("last words", file=sys.stderr, flush=True)
    {}
"""


@pytest.mark.parametrize(
    ("death", "how"),
    [
        ("os._exit(3)", "exited with code 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended by signal 9"),
        ("os.write(3, b'no json\\n')", "not its protocol"),
        ("os.write(3, b'{\"id\": 7}\\n')", "answered request 7 instead of 2"),
    ],
    ids=["exit", "killed", "garbage", "other id"],
)
def test_a_worker_that_dies_or_talks_nonsense_is_ended_and_quoted(tmp_path, death, how):
    with worker(tmp_path, DYING.format(death)) as running:
        with pytest.raises(WorkerGone, match=f"{how}.*last words"):
            running.request({}, timeout=20)
        assert ends(running.hello["pid"])


SLEEPING = """
import os, subprocess, time
def start(options):
    child = subprocess.Popen(["sleep", "600"])
    return {"pids": [os.getpid(), child.pid]}, lambda message: time.sleep(600)
"""


def test_a_worker_that_hangs_is_ended_with_its_children(tmp_path):
    with worker(tmp_path, SLEEPING, env={"PATH": os.environ["PATH"]}) as running:
        with pytest.raises(WorkerTimeout, match="in time"):
            running.request({}, timeout=0.2)
        assert all(ends(pid) for pid in running.hello["pids"])


def test_the_children_of_a_worker_that_crashes_end_with_it(tmp_path):
    code = SLEEPING.replace("time.sleep(600)\n", "os._exit(3)\n")
    with worker(tmp_path, code, env={"PATH": os.environ["PATH"]}) as running:
        with pytest.raises(WorkerGone, match="exited with code 3"):
            running.request({}, timeout=20)
        assert all(ends(pid) for pid in running.hello["pids"])


def test_a_worker_ends_in_the_middle_of_its_work_with_the_program_that_started_it(tmp_path):
    (tmp_path / "script.py").write_text(SLEEPING)
    code = f"""
import sys
from datasets.tools.isolated.worker import Worker
script = {str(tmp_path / "script.py")!r}
with Worker(sys.executable, script, env={{"PATH": "/bin:/usr/bin"}}, options={{}}, timeout=20) as w:
    print(*w.hello["pids"], flush=True)
    w.request({{}}, timeout=600)
"""
    killed = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    pids = [int(pid) for pid in killed.stdout.readline().split()]
    assert len(pids) == 2
    killed.kill()
    killed.communicate()
    assert all(ends(pid) for pid in pids)


def test_a_worker_that_cannot_start_says_why(tmp_path):
    with pytest.raises(WorkerFailed, match="no module"):
        worker(tmp_path, "raise ImportError('no module')").__enter__()
    missing = Worker(tmp_path / "python", tmp_path / "x.py", env={}, options={}, timeout=5)
    with pytest.raises(WorkerError, match="cannot start"):
        missing.__enter__()


def test_a_worker_sees_the_environment_that_it_is_given_and_none_of_our_modules(
    tmp_path, monkeypatch
):
    code = """
import os, sys
def start(options):
    try:
        import motion, rotation
    except ImportError:
        return {"env": dict(os.environ)}, None
"""
    monkeypatch.setenv("SECRET", "token")
    with worker(tmp_path, code, env={"ONE": "1"}) as running:
        assert running.hello["env"]["ONE"] == "1" and "SECRET" not in running.hello["env"]
