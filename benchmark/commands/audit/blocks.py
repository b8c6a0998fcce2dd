"""Numbers that no table file holds: the paper's text and the source of its backbone.

A block here is laid out and parsed like the one of a table file (`benchmark.api.table.TableSpec`).
"""

import re

from benchmark.api.table import Column, Row, TableSpec


def _block(id: str, title: str, paper: str) -> TableSpec:
    """A block of numbers; its rows are the labels printed in it."""
    labels = (re.split(r"\s{2,}", line)[0] for line in paper.strip().splitlines()[1:])
    return TableSpec(
        id=id,
        title=title,
        columns=(Column("value", "Value"),),
        rows=tuple(map(Row, labels)),
        paper=paper,
    )


TEXT = _block(
    "text",
    "Numbers of the paper's running text (sections 3.1 and 3.2, equation 1, appendix A)",
    """
Number                                    Value
frames of a clip                          65
seconds of a clip                         3
pixels of a side                          512
frames to a latent                        8
pixels to a latent                        16
tokens of a frame                         36
special tokens of a sequence              2
length of a code                          512
parameters that expansion adds, millions  30
parameters of Cosmos-AR-4B, billions      4
learning rate of the AR model             1e-4
""",
)

COSMOS = _block(
    "cosmos",
    'Configuration "4b" of cosmos-predict1, the source of table 4\'s backbone',
    """
Configuration                 Value
Number of Transformer Layers  16
Model Dimension               4096
Vocabulary Size               64000
FFN Hidden Dimension          14336
Number of Attention Heads     32
Number of Key / Value Heads   8
""",
)
