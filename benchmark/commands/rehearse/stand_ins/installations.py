"""Clones of cosmos-predict1 and SeedVR as far as our workers see them, with nothing learned.

They take the calls that the public sources take (cosmos-predict1 at 4ed35faa, SeedVR at 673b5637)
and run on any device, in the environment of this program.
"""

from pathlib import Path

import torch

from benchmark.commands.rehearse.stand_ins import cosmos
from model.video_tokens import seedvr
from model.video_tokens.cosmos.files import CV, DIFFUSION, DV, SAMPLER

# The network sees the ids as shades, and answers with latents whose pictures have these shades.
_DECODER = """
import torch


def refuse_extra_state(load):
    def checked(state, *args):
        assert not [name for name in state if name.endswith("_extra_state")]
        return load(state, *args)

    return checked


class LatentDiffusionDecoderModel(torch.nn.Module):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tensor_kwargs = {"device": device, "dtype": torch.bfloat16}

    def __init__(self):
        super().__init__()
        self.tokenizer_corruptor = torch.nn.Identity()

    def set_up_model(self):
        net = torch.nn.Linear(16, 16, **self.tensor_kwargs)
        net.register_buffer("positions", torch.zeros(3))
        net._load_from_state_dict = refuse_extra_state(net._load_from_state_dict)
        self.model = torch.nn.ModuleDict({"net": net})
        self.net = net

    def generate_samples_from_batch(
        self, batch, guidance, state_shape, num_steps, apply_corruptor, preencode_condition
    ):
        assert preencode_condition and not apply_corruptor
        ids = batch["video"]
        assert ids.dtype == torch.int32 and ids.shape[:2] == (1, 1)
        _, _, t, h, w = ids.shape
        assert list(state_shape) == [16, t, 2 * h, 2 * w]
        self.tokenizer_corruptor.decode(ids[:, 0])
        shapes = {name: tuple(value.shape) for name, value in batch.items()}
        assert shapes["t5_text_embeddings"] == (1, 512, 1024)
        assert shapes["t5_text_mask"] == (1, 512) and shapes["image_size"] == (1, 4)
        assert batch["num_frames"].tolist() == [1 + 8 * (t - 1)]
        assert shapes["padding_mask"] == (1, 1, 16 * h, 16 * w)
        shades = (ids[:, 0] % 4000 / 2000 - 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
        noise = torch.randn((1, *state_shape)).to(shades.device)
        noisy = (shades[:, None] + 0.01 * guidance * noise / num_steps).bfloat16()
        return self.net(noisy.movedim(1, -1)).movedim(-1, 1)
"""
_UTILITIES = """
import contextlib
import os


def load_model_by_config(config_job_name, config_file, model_class):
    assert os.path.isfile(config_file)
    return model_class()


@contextlib.contextmanager
def skip_init_linear():
    yield
"""
_CONFIG = "config/config_latent_diffusion_decoder.py"

# As the released program: relative paths, all of a folder, the same names in another; its noise is
# seeded once a call.
_ENHANCER = """
import os
import random

import av
import torch


def configure_runner(sp_size):
    assert os.path.isfile("configs_3b/main.yaml") and os.environ["WORLD_SIZE"] == "1"
    files = ("ckpts/seedvr_ema_3b.pth", "ckpts/ema_vae.pth", "pos_emb.pt", "neg_emb.pt")
    return [torch.load(file, weights_only=True) for file in files]


def generation_loop(runner, video_path="./test_videos", output_dir="./results", batch_size=1,
                    cfg_scale=6.5, cfg_rescale=0.0, sample_steps=50, seed=666, res_h=1280,
                    res_w=720, sp_size=1, out_fps=None):
    random.seed(seed)
    os.makedirs(output_dir, exist_ok=True)
    for name in os.listdir(video_path):
        with av.open(os.path.join(video_path, name)) as source:
            stream = source.streams.video[0]
            zoom = (res_h * res_w / (stream.height * stream.width)) ** 0.5
            height, width = (int(side * zoom) // 16 * 16 for side in (stream.height, stream.width))
            with av.open(os.path.join(output_dir, name), "w") as target:
                made = target.add_stream("libx264", rate=stream.average_rate)
                made.height, made.width, made.pix_fmt = height, width, "yuv420p"
                for frame in source.decode(stream):
                    picture = frame.to_ndarray(format="rgb24", width=width, height=height)
                    picture[random.randrange(height)] = 255
                    target.mux(made.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                target.mux(made.encode(None))
"""


def build_decoder(home: Path) -> Path:
    """Write a clone of cosmos-predict1 with the files of the diffusion decoder in ``checkpoints``.

    Its network gives latents of which CV8x8x8's stand-in makes the pictures of DV8x16x16's.
    """
    decoder = home / Path(SAMPLER).parent
    utilities = home / "cosmos_predict1" / "diffusion" / "inference" / "inference_utils.py"
    for file, text in (
        (home / SAMPLER, _DECODER),
        (decoder / _CONFIG, ""),
        (utilities, _UTILITIES),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    cosmos.build_dv(DV.folder(home))
    cv = cosmos.build_cv(CV.folder(home))
    # The latents of all times alike, so that a window decodes to the same pictures anywhere.
    torch.save((torch.zeros(256), torch.full((256,), 0.5)), cv / "mean_std.pt")
    weights = DIFFUSION.folder(home)
    weights.mkdir(parents=True)
    # TransformerEngine keeps such entries beside the network's own; nobody may unpickle them.
    extra = torch.frombuffer(bytearray(b"not for torch"), dtype=torch.uint8)
    state = {"net.weight": torch.eye(16).bfloat16(), "net.bias": torch.zeros(16).bfloat16()}
    torch.save(state | {"net._extra_state": extra}, weights / "model.pt")
    torch.save({"context": torch.zeros(1, 512, 1024).bfloat16()}, weights / "aux_vars.pt")
    return home


def build_enhancer(home: Path) -> Path:
    """Write a clone of SeedVR: its result is the input with a white line, at the size asked for."""
    program = home / seedvr.PROGRAM
    program.parent.mkdir(parents=True)
    program.write_text(_ENHANCER)
    for name in seedvr.WEIGHTS:
        (home / name).parent.mkdir(exist_ok=True)
        torch.save({"weight": torch.zeros(4)}, home / name)
    (home / "configs_3b").mkdir()
    (home / "configs_3b" / "main.yaml").write_text("{}\n")
    return home
