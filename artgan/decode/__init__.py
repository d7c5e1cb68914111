"""From a picture file to sRGB pixels: `decode` and `decode_file` are the only way in."""

from artgan.decode.picture import MAX_PIXELS, WHITE, Picture, decode, decode_file
from artgan.decode.readers import SUFFIXES

__all__ = ["MAX_PIXELS", "SUFFIXES", "WHITE", "Picture", "decode", "decode_file"]
