"""When things are due: pure functions of images seen, so that a resumed run does what an undisturbed one does."""


def due(every_kimg: float, images_seen: int, batch_size: int) -> bool:
    """Return whether the last batch crossed a multiple of the interval; never before the first batch."""
    every = round(every_kimg * 1000)
    return images_seen > 0 and images_seen // every != (images_seen - batch_size) // every
