"""The diffusion decoder within the user's cosmos-predict1, without any of our modules.

Started by `datasets.tools.isolated.worker_main`, with that installation's interpreter. Checked
against the public source of nvidia-cosmos/cosmos-predict1 (4ed35faa); never run with the released
weights, so what their file holds beside the network's parameters is not known here.
"""

import os
import sys

import numpy as np
import torch

_CONFIG_FILE = (
    "cosmos_predict1/autoregressive/diffusion_decoder/config/config_latent_diffusion_decoder.py"
)
_EXPERIMENT = "DD_FT_7Bv1_003_002_tokenizer888_spatch2_discrete_cond_on_token"
_CHANNELS = 16  # of a latent of CV8x8x8


def start(options):
    """Load the 7B network.

    Args:
        options: ``home``, the folder of the installation, with ``checkpoints/`` in it; ``weights``
            and ``context``, the files ``model.pt`` and ``aux_vars.pt``.
    """
    # Its configuration names files relative to this folder.
    os.chdir(options["home"])
    sys.path.insert(0, options["home"])
    from cosmos_predict1.autoregressive.diffusion_decoder.model import LatentDiffusionDecoderModel
    from cosmos_predict1.diffusion.inference.inference_utils import (
        load_model_by_config,
        skip_init_linear,
    )

    model = load_model_by_config(
        config_job_name=_EXPERIMENT,
        config_file=_CONFIG_FILE,
        model_class=LatentDiffusionDecoderModel,
    )
    with skip_init_linear():
        model.set_up_model()
    _load(model, options["weights"])
    model.eval()
    # Tokens would be decoded to pictures that nothing uses, and only 8 latents of them can be.
    model.tokenizer_corruptor.decode = lambda indices: None
    # The embedding of its own prompt for want of a text; so no T5 is needed.
    context = torch.load(options["context"], map_location="cpu", weights_only=True)["context"]
    context = context.to(**model.tensor_kwargs)
    hello = {"torch": torch.__version__, "device": context.device.type}
    return hello, lambda request: _sample(model, context, request)


def _load(model, path):
    """Give the network its parameters.

    Not the package's own function: that goes on without a parameter that is not in the file, and
    executes what a file asks for that is not plain tensors.

    Raises:
        ValueError: a parameter of the network is missing.
    """
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    # TransformerEngine's own state, which is for FP8: it would unpickle what these tensors hold.
    state = {name: value for name, value in state.items() if not name.endswith("_extra_state")}
    missing = set(model.model.load_state_dict(state, strict=False).missing_keys)
    # Buffers need not be there: they are tables of positions, which are made anew.
    missing &= {f"net.{name}" for name, _ in model.net.named_parameters()}
    if missing:
        raise ValueError(f"{path} lacks {len(missing)} parameters, such as {min(missing)}")


def _sample(model, context, request):
    """The latents of one window.

    Args:
        model: the network and its sampler.
        context: (1, 512, 1024), the embedded prompt.
        request: ``ids``, a .npy file of (t, h, w); ``latents``, the one to write, (16, t, 2 h, 2 w)
            float32; ``guidance``, ``steps``, ``seed``, ``fps``.
    """
    ids = torch.from_numpy(np.load(request["ids"]))
    t, h, w = ids.shape
    height, width = 16 * h, 16 * w
    where = model.tensor_kwargs
    batch = {
        "video": ids.to(where["device"], torch.int32)[None, None],
        "t5_text_embeddings": context,
        "t5_text_mask": torch.ones(1, context.shape[1], **where),
        "image_size": torch.tensor([[height, width, height, width]], **where),
        "fps": torch.tensor([request["fps"]], **where),
        "num_frames": torch.tensor([1 + 8 * (t - 1)], **where),
        "padding_mask": torch.zeros(1, 1, height, width, **where),
    }
    # Its own argument ``seed`` is not used; the noise is drawn on the CPU.
    torch.manual_seed(request["seed"])
    with torch.no_grad():
        latents = model.generate_samples_from_batch(
            batch,
            guidance=request["guidance"],
            state_shape=[_CHANNELS, t, height // 8, width // 8],
            num_steps=request["steps"],
            apply_corruptor=False,
            preencode_condition=True,  # "video" are ids
        )
    np.save(request["latents"], latents[0].float().cpu().numpy())
    return {}
