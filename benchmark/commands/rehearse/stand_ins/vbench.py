"""VBench's five networks with nothing learned, and its package with less to look at.

AMT and RAFT have their own layout and weights of known output, CLIP's two are narrow, and in DINO's
place is a network that knows the mean colour. AMT and RAFT take ten minutes a clip on a CPU, so the
package is the installed one but for their two modules: those see the first frames, made small.
"""

from pathlib import Path

import torch

from benchmark.commands.rehearse.stand_ins.environments import run, site_packages, with_modules
from benchmark.metrics.vbench_tool import weights
from datasets.tools.isolated import torchvision_operators

_NETWORKS = Path(__file__).parent / "vbench_networks.py"
_FLOW = 0.02  # of RAFT at every step, in eighths of the picture's pixels
# Loaded as DINO's code loads its own.
_DINO = """
import torch
def dino_vitb16(pretrained=True, **kwargs):
    mean = torch.nn.AdaptiveAvgPool2d(1)
    model = torch.nn.Sequential(mean, torch.nn.Flatten(), torch.nn.Linear(3, 2))
    url = "https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth"
    model.load_state_dict(torch.hub.load_state_dict_from_url(url, map_location="cpu"))
    return model
"""

_FEW_SMALL_FRAMES = {
    "vbench/motion_smoothness.py": """

_all_frames = FrameProcess.get_frames


def _few_small_frames(self, video_path):
    return [cv2.resize(frame, (128, 128)) for frame in _all_frames(self, video_path)[:5]]


FrameProcess.get_frames = _few_small_frames
""",
    "vbench/dynamic_degree.py": """

_all_frames = DynamicDegree.get_frames


def _few_small_frames(self, video_path):
    frames = _all_frames(self, video_path)[:3]
    return [torch.nn.functional.interpolate(frame, size=(128, 128)) for frame in frames]


DynamicDegree.get_frames = _few_small_frames
""",
}


def build_weights(python: Path, root: Path) -> None:
    """Write all files.

    Args:
        python: of the tool's environment.
        root: what ``$VBENCH_CACHE_DIR`` is to name.

    Raises:
        BuildError: the environment has no VBench that starts.
    """
    build_dino(root)
    run(python, (_NETWORKS, torchvision_operators.__file__, root.absolute(), str(_FLOW)), root)


def build_dino(root: Path) -> None:
    """Write DINO's weights and code: features are (red, 1), of the mean normalised red."""
    first, *code = (root / weight.path for weight in weights.WEIGHTS["subject_consistency"])
    code[0].parent.mkdir(parents=True)
    for file in code:
        file.write_text(_DINO if file.name == "hubconf.py" else "")
    weight = torch.tensor([[1.0, 0, 0], [0, 0, 0]])
    torch.save({"2.weight": weight, "2.bias": torch.tensor([0.0, 1.0])}, first)


def build_environment(python: Path, folder: Path) -> None:
    """Write an environment whose two slow dimensions look at few and small frames.

    Args:
        python: of the tool's environment.
        folder: of the new one.
    """
    own = site_packages(python)
    modules = {name: (own / name).read_text() + text for name, text in _FEW_SMALL_FRAMES.items()}
    with_modules(python, folder, modules)
