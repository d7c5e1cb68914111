"""ICC profiles built by hand (ICC.1:2001-04), so that the color tests need no file from elsewhere."""

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = np.array([0.95047, 1.0, 1.08883])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Chromaticities (x, y) of red, green and blue.
SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB_PRIMARIES = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DISPLAY_P3_PRIMARIES = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))


def to_d50_matrix(primaries) -> np.ndarray:
    """Return the matrix from linear RGB with a D65 white to XYZ under D50."""
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    matrix = xyz * np.linalg.solve(xyz, D65)
    scale = np.diag((BRADFORD @ D50) / (BRADFORD @ D65))
    return np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ matrix


def rgb_profile(name: str, primaries, gamma: float) -> bytes:
    """Return a matrix profile with one gamma for all channels."""
    matrix = to_d50_matrix(primaries)
    colorants = {tag: _xyz(matrix[:, column]) for column, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(gamma))
    return _profile(b"mntr", b"RGB ", b"XYZ ", {b"desc": _description(name), b"wtpt": _xyz(D50), **colorants, **curves})


def gray_profile(name: str, gamma: float) -> bytes:
    """Return a gray profile with a gamma."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"desc": _description(name), b"wtpt": _xyz(D50), b"kTRC": _gamma(gamma)})


def cmyk_profile(name: str, lab_of_inks: np.ndarray) -> bytes:
    """Return a printer profile from Lab values at full and no ink, float `[2, 2, 2, 2, 3]` for C, M, Y, K; linear between."""
    table = np.concatenate([lab_of_inks[..., :1] / 100 * 0xFF00, (lab_of_inks[..., 1:] + 128) * 256], -1)
    body = b"mft2" + bytes(4) + struct.pack(">BBBB", 4, 3, 2, 0)
    body += b"".join(struct.pack(">i", round(v * 65536)) for v in np.eye(3).ravel()) + struct.pack(">HH", 2, 2)
    body += struct.pack(">HH", 0, 65535) * 4 + np.rint(table).astype(">u2").tobytes() + struct.pack(">HH", 0, 65535) * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"desc": _description(name), b"wtpt": _xyz(D50), b"A2B0": body, b"A2B1": body})


def _xyz(values) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def _gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def _description(name: str) -> bytes:
    text = name.encode("ascii") + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {**tags, b"cprt": b"text" + bytes(4) + b"none\0"}
    offset, directory, data = 128 + 4 + 12 * len(tags), b"", b""
    for tag, body in tags.items():
        directory += tag + struct.pack(">II", offset + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    rest = struct.pack(">I", len(tags)) + directory + data
    header = struct.pack(">I4sI4s4s4s", 128 + len(rest), b"none", 0x02400000, kind, space, connection)
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += b"".join(struct.pack(">i", round(v * 65536)) for v in D50)
    return header.ljust(128, b"\0") + rest
