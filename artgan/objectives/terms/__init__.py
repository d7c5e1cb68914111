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
    """

    backbone: bool


TERMS: Table[TermRow] = Table(
    "term", {"transport": TermRow("artgan.objectives.terms.transport:GaussianTransport", backbone=True)}
)
