"""From a picture file to sRGB pixels: `decode` and `decode_file` are the only way in."""

from artgan.decode.picture import MAX_PIXELS, WHITE, Picture, decode, decode_file
from artgan.decode.readers import SUFFIXES, installed
from artgan.decode.whole import WholePicture, decode_whole

__all__ = ["MAX_PIXELS", "SUFFIXES", "WHITE", "Picture", "WholePicture", "decode", "decode_file", "decode_whole", "installed"]
