"""The diffusion decoder's process without a network."""

# Channel 0 of every latent is its id / 100, so that pictures tell what they were made from.
FAKE = """
import json, os
import numpy as np
def start(options):
    assert "SECRET" not in os.environ
    log = open(os.path.join(options["home"], "log"), "w")
    def handle(request):
        ids = np.load(request["ids"])
        print(json.dumps({**request, "shape": ids.shape}), file=log, flush=True)
        if ids.max() > 90:
            raise RuntimeError("too bright\\nfor me")
        if ids.max() == 85:
            os._exit(9)
        t, h, w = ids.shape
        latents = np.zeros((16, t, 2 * h, 2 * w), np.float32)
        latents[:3] = ids.repeat(2, 1).repeat(2, 2) / 100
        np.save(request["latents"], latents[:, : 1 if ids.max() == 80 else t])
        return {}
    return {"device": "cpu", "torch": "none"}, handle
"""
