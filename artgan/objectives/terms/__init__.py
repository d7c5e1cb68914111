"""Terms of the generator's loss beside the adversarial one, by name: `contract.GeneratorTerm`, with all its state in buffers.

A run names its terms with a share each: `objective.terms: {NAME: 0.3}` gives a term's gradient at the images 0.3 times the
length of the adversarial one's.
"""

from dataclasses import dataclass

from artgan.tables import Row, Table


@dataclass(frozen=True, kw_only=True)
class TermRow(Row):
    """What is known of a term.

    Attributes:
        backbone: it compares features of a pretrained network, which the discriminator must see through.
        pictures: training pictures that it looks at before the first step, at most.
    """

    backbone: bool
    pictures: int = 1


TERMS: Table[TermRow] = Table(
    "term",
    {
        "layout_transport": TermRow("artgan.objectives.terms.layout_transport:LayoutTransport", backbone=True, pictures=1000),
        "transport": TermRow("artgan.objectives.terms.transport:GaussianTransport", backbone=True),
    },
)
