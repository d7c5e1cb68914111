"""From samples with their meaning to sRGB: through an ICC profile, or in closed form."""

import io

import numpy as np
from PIL import Image, ImageCms

from artgan.decode import encodings
from artgan.decode.raster import Raster, eight_bits

_PROFILE_FAULTS = (ImageCms.PyCMSError, OSError, ValueError, TypeError)
_SPACE_OF_MODE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def to_srgb(raster: Raster) -> tuple[Image.Image, str | None]:
    """Convert a raster's colors; what was done is added to its notes.

    Returns:
        An RGB image in sRGB, without opacity, and the description of the profile that it came through, or None.
    """
    if raster.space == "LAB":
        raster.notes.append("converted from CIELAB to sRGB")
        return Image.fromarray(encodings.lab_to_srgb(np.asarray(raster.samples))), None
    if raster.profile and not _is_float(raster.samples):
        converted = _through_profile(raster)
        if converted is not None:
            return converted
    return _without_profile(raster), None


def deep_to_srgb(raster: Raster) -> np.ndarray | None:
    """Convert 16-bit gray or RGB at its depth, uint16 `[H, W, 3]`; None where that cannot be done, and 8 bits can."""
    samples = np.asarray(raster.samples)
    if raster.encoding is not None or raster.space not in ("L", "RGB"):
        return None
    name = ""
    if raster.profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(raster.profile))
            name = ImageCms.getProfileDescription(source).strip()
            if source.profile.xcolor_space.strip() != _SPACE_OF_MODE[raster.space]:
                return None
            if "srgb" not in name.lower() and raster.space == "L":
                return _deep_gray_to_srgb(samples, source)
        except _PROFILE_FAULTS:
            return None
    if name and "srgb" not in name.lower():
        try:
            return _deep_through_profile(raster, "uint16")
        except (ImportError, ValueError):
            return None
    return np.repeat(samples[..., None], 3, -1) if samples.ndim == 2 else samples


def _deep_gray_to_srgb(samples: np.ndarray, source: ImageCms.ImageCmsProfile) -> np.ndarray:
    table = _gray_table(source)
    places = np.arange(65536) / 257
    deep = np.rint([np.interp(places, np.arange(256), channel * 257.0) for channel in table.T]).astype(np.uint16).T
    return np.asarray(deep[samples])


def _without_profile(raster: Raster) -> Image.Image:
    samples, encoding = raster.samples, raster.encoding
    if encoding is not None and raster.space != "CMYK":
        numbers = np.asarray(samples)
        if numbers.ndim == 2:
            numbers = np.repeat(numbers[..., None], 3, -1)
        pixels, peak = encodings.to_srgb(numbers, encoding)
        raster.notes.append(f"converted from {encoding.name} to sRGB")
        if peak > 1:
            raster.notes.append(f"light up to {peak:.3g} times white brought in by a shoulder above three quarters of white")
        return Image.fromarray(pixels)
    image = _image(raster)
    if image.mode == "CMYK":
        raster.notes.append("CMYK without a profile, converted without one")
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy


def _through_profile(raster: Raster) -> tuple[Image.Image, str] | None:
    """Convert through the embedded profile, or return None with a note when it is not for these samples."""
    assert raster.profile is not None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(raster.profile))
        name = ImageCms.getProfileDescription(source).strip()
        if source.profile.xcolor_space.strip() == "GRAY" and raster.space == "RGB":
            _gray_out(raster)
        converted = _convert(raster, source)
    except _PROFILE_FAULTS:
        raster.notes.append("ICC profile unreadable or not for these channels, pixels taken as sRGB")
        return None
    if "srgb" not in name.lower():
        raster.notes.append(f"converted from the profile '{name}' to sRGB")
    return converted, name


def _convert(raster: Raster, source: ImageCms.ImageCmsProfile) -> Image.Image:
    if source.profile.xcolor_space.strip() != _SPACE_OF_MODE[raster.space]:
        raise ValueError("the profile is for other channels")
    if raster.space == "L":
        return _gray_to_srgb(raster.samples, source)
    if isinstance(raster.samples, np.ndarray):
        return _deep_to_srgb(raster)
    return _transform(raster.samples, source, 0)


def _gray_out(raster: Raster) -> None:
    """Take the one channel of an RGB picture (a palette, mostly) whose three are the same."""
    numbers = np.asarray(raster.samples)
    if not ((numbers[..., 0] == numbers[..., 1]).all() and (numbers[..., 0] == numbers[..., 2]).all()):
        raise ValueError("a gray profile with colors")
    gray = np.ascontiguousarray(numbers[..., 0])
    raster.samples, raster.space = gray if gray.dtype != np.uint8 else Image.fromarray(gray), "L"


def _deep_to_srgb(raster: Raster) -> Image.Image:
    """Convert 16-bit colors at their depth; they come from the extra, which has the engine for it."""
    return Image.fromarray(_deep_through_profile(raster, "uint8"))


def _deep_through_profile(raster: Raster, dtype: str) -> np.ndarray:
    import imagecodecs

    assert isinstance(raster.samples, np.ndarray)
    assert raster.profile is not None
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    try:
        converted = imagecodecs.cms_transform(
            np.ascontiguousarray(raster.samples),
            raster.profile,
            target,
            colorspace=raster.space.lower(),
            outcolorspace="rgb",
            outdtype=dtype,
            intent=int(ImageCms.Intent.RELATIVE_COLORIMETRIC),
            flags=int(ImageCms.Flags.BLACKPOINTCOMPENSATION),
        )
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return np.asarray(converted)


def _transform(image: Image.Image, source: ImageCms.ImageCmsProfile, flags: int) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | flags,
    )
    assert converted is not None, "not in place"
    return converted


def _gray_to_srgb(samples: Image.Image | np.ndarray, source: ImageCms.ImageCmsProfile) -> Image.Image:
    """Convert the 256 grays exactly and look pixels up: the engine's shortcut for gray errs by 2.8 (CIEDE2000) in the darks.

    Deeper grays lie between two of them.
    """
    table = _gray_table(source)
    numbers = np.asarray(samples)
    if numbers.dtype == np.uint16:
        places = np.arange(65536) / 257
        table = np.rint([np.interp(places, np.arange(256), channel) for channel in table.T]).astype(np.uint8).T
    return Image.fromarray(table[numbers])


def _gray_table(source: ImageCms.ImageCmsProfile) -> np.ndarray:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    return np.asarray(_transform(ramp, source, ImageCms.Flags.NOOPTIMIZE))[0]


def _image(raster: Raster) -> Image.Image:
    if isinstance(raster.samples, Image.Image):
        return raster.samples
    image = eight_bits(raster.samples)
    if raster.space == "CMYK":
        return Image.frombytes("CMYK", image.size, image.tobytes())
    return image


def _is_float(samples: Image.Image | np.ndarray) -> bool:
    return isinstance(samples, np.ndarray) and samples.dtype.kind == "f"
