"""The adversarial training of a generator and a discriminator on a collection."""
