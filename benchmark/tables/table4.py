"""Table 4: the configuration of the autoregressive model."""

from benchmark.api.table import Column, Row, TableSpec

_FIELDS = {
    "Number of Transformer Layers": "n_layers",
    "Number of Tokens": "num_tokens",
    "Model Dimension": "dim",
    "Vocabulary Size": "visual_vocab",
    "FFN Hidden Dimension": "ffn_hidden_size",
    "Number of Attention Heads": "n_heads",
    "Base Learning Rate": "learning_rate",
    "Number of Key / Value Heads": "n_kv_heads",
}


def _configuration() -> dict[str, dict[str, float]]:
    """Return the values of `UniMoConfig.paper` and of its training."""
    from model.transformer import UniMoConfig
    from model.transformer.train.config import ARTrainingConfig

    config, training = UniMoConfig.paper(), ARTrainingConfig.paper()
    return {
        label: {"value": getattr(training if field == "learning_rate" else config, field)}
        for label, field in _FIELDS.items()
    }


TABLE = TableSpec(
    id="table4",
    title="The configuration of AR model",
    columns=(Column("value", "Value"),),
    rows=tuple(Row(label) for label in _FIELDS),
    paper="""
Configuration                 Value
Number of Transformer Layers  16
Number of Tokens              11558
Model Dimension               4096
Vocabulary Size               64000
FFN Hidden Dimension          14336
Number of Attention Heads     32
Base Learning Rate            1e-4
Number of Key / Value Heads   8
""",
    notes=(
        "A configuration, not a measurement.",
        "11558 tokens = 9 x 32 x 32 visual latents of 65 frames at 512x512, 65 x 36 motion tokens "
        "and 2 special tokens.",
        "64000 is the visual vocabulary; the 512 motion codes and the special tokens come on top.",
    ),
    compute=_configuration,
)
