"""Beings: heads, whole figures and beasts, built of parts as people draw them."""

from collections.abc import Callable, Sequence

import numpy as np

from artgan.drawings.canvas import Canvas, Points, bend, blob, capsule, oval
from artgan.drawings.palettes import FLESH

Place = Sequence[float]
# From the unit figure of a head to its place on the canvas.
At = Callable[[Points], Points]


def _placed(points: Points, center: Place, size: float, tilt: float) -> Points:
    """Move points of a unit figure, whose head has the radius 1, onto the canvas."""
    cosine, sine = np.cos(tilt), np.sin(tilt)
    x, y = np.asarray(points, float).T
    return np.stack([center[0] + size * (x * cosine - y * sine), center[1] + size * (x * sine + y * cosine)], 1)


def head(canvas: Canvas, center: Place, size: float, tilt: float = 0.0) -> None:
    """Draw a head of about `size` in radius: skull, hair, ears, eyes, brows, nose, mouth, at times a hat or a beard."""
    random = canvas.random
    turn = random.normal(0, 0.28)  # where it looks: the features move aside
    ratio, jaw = random.uniform(0.68, 0.95), random.uniform(0.6, 1.0)
    hair, flesh = int(random.integers(1, 8)), FLESH if random.random() < 0.85 else None
    style = random.random()

    def at(points: Points) -> Points:
        return _placed(points, center, size, tilt)

    if random.random() < 0.6:  # hair behind
        canvas.shape(at(blob(random, (-turn * 0.4, 0.1), random.uniform(1.0, 1.5), 0.12)), "hair", hair)
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    narrowing = 1 - (1 - jaw) * np.clip(np.sin(angle), 0, 1) ** 1.5
    skull = np.stack([ratio * np.cos(angle) * narrowing, np.sin(angle) * random.uniform(0.95, 1.15)], 1)
    if random.random() < 0.5:
        for side in (-1, 1):
            canvas.shape(at(oval((side * ratio * 0.97 - turn * 0.2, 0.1), (0.13, 0.22))), "ear", flesh)
    canvas.shape(at(skull), "head", flesh, plain=0.75)
    _face(canvas, at, size, turn, ratio, style)
    _hair_on_top(canvas, at, hair, ratio, turn)
    if random.random() < 0.18:
        beard = np.concatenate([bend((-ratio * 0.8, 0.35), (ratio * 0.8, 0.35), 0.12), bend((ratio * 0.7, 0.5), (0, 1.5), 0.1)])
        canvas.shape(at(np.concatenate([beard, bend((0, 1.5), (-ratio * 0.7, 0.5), 0.1)])), "hair", hair)
        canvas.line(at(bend((turn - 0.2, 0.52), (turn + 0.2, 0.52), 0.1, 5)), 0.08 * size, "mouth", None)


def _face(canvas: Canvas, at: At, size: float, turn: float, ratio: float, style: float) -> None:
    random = canvas.random
    apart, height = random.uniform(0.28, 0.44) * ratio / 0.8, random.uniform(-0.15, 0.1)
    long, open_ = random.uniform(0.12, 0.26), random.uniform(0.3, 1.0)
    slant, brow = random.normal(0, 0.25), random.uniform(0.14, 0.34)
    for side in (-1, 1):
        x = turn + side * apart * (1 - 0.25 * abs(turn) * (side * turn > 0))
        if style < 0.3:  # a slit
            drop = side * slant * 0.2
            lid = bend((x - long, height - drop), (x + long, height + drop), -0.12, 7)
            canvas.line(at(lid), 0.09 * size, "eye")
        elif style < 0.5:  # a dot
            canvas.shape(at(oval((x, height), (0.1, 0.1 + 0.06 * open_))), "eye", 1, plain=1, outline=False)
        else:  # an almond or a round eye with its pupil
            canvas.shape(at(oval((x, height), (long, long * open_ * 0.8), side * slant)), "eye", 0, plain=0.9)
            canvas.line(at(bend((x - long, height), (x + long, height), 0.3 * open_, 7)), 0.06 * size, "eye")
            canvas.shape(at(oval((x + turn * 0.15, height), (long * 0.42,) * 2)), "eye", 1, plain=1, outline=False)
        if random.random() < 0.85:
            above = height - brow
            arch = bend((x - long * 1.2, above), (x + long * 1.2, above + side * slant * 0.3), 0.15, 7)
            canvas.line(at(arch), random.uniform(0.04, 0.14) * size, "hair")
    tip, nose = (turn * 1.5, height + random.uniform(0.35, 0.5)), random.random()
    if nose < 0.45:
        side = 1 if turn > 0 else -1
        bridge = [(turn, height + 0.05), (tip[0] + side * 0.12, tip[1]), (tip[0] - side * 0.06, tip[1] + 0.03)]
        canvas.line(at(np.array(bridge)), 0.06 * size, "nose", taper=False)
    elif nose < 0.7:
        canvas.shape(at(np.array([(turn, height), (tip[0] + 0.14, tip[1]), (tip[0] - 0.14, tip[1])])), "nose", FLESH)
    else:
        for side in (-1, 1):
            canvas.shape(at(oval((tip[0] + side * 0.07, tip[1]), (0.04, 0.03))), "nose", 1, plain=1, outline=False)
    mouth, wide, y = random.random(), random.uniform(0.12, 0.34), height + random.uniform(0.6, 0.78)
    if mouth < 0.5:
        canvas.line(at(bend((turn * 1.2 - wide, y), (turn * 1.2 + wide, y), random.normal(0, 0.2), 7)), 0.08 * size, "mouth")
    else:
        canvas.shape(at(oval((turn * 1.2, y), (wide, random.uniform(0.05, 0.14)))), "mouth", None, plain=0.9)


def _hair_on_top(canvas: Canvas, at: At, hair: int, ratio: float, turn: float) -> None:
    random = canvas.random
    kind = random.random()
    line = random.uniform(-0.65, -0.3)  # where the forehead begins
    if kind < 0.5:
        arc = np.linspace(np.pi * 1.02, np.pi * 1.98, 14)
        cap = np.stack([(ratio + 0.06) * np.cos(arc), 1.12 * np.sin(arc)], 1)
        canvas.shape(
            at(np.concatenate([cap, bend((ratio, line + 0.3), (-ratio, line + 0.3), random.uniform(0.0, 0.35))])), "hair", hair
        )
        if random.random() < 0.4:
            canvas.shape(at(blob(random, (-turn * 0.5, -1.2), random.uniform(0.2, 0.45), 0.15)), "hair", hair)
    elif kind < 0.8:
        tall, brim = random.uniform(0.4, 1.2), random.uniform(0.9, 1.5)
        top = random.uniform(0.3, 1.0)
        hat = np.array([(-ratio, line), (ratio, line), (ratio * top, line - tall), (-ratio * top, line - tall)])
        canvas.shape(at(hat), "hat")
        if random.random() < 0.6:
            canvas.shape(at(oval((0, line), (brim * ratio, 0.14))), "hat")
    elif kind < 0.9:
        canvas.shape(at(oval((0, -0.1), (1.45, 1.45))), "ornament")  # a halo or hood, then the face again would hide it


def bust(canvas: Canvas, center: Place, size: float) -> None:
    """Draw shoulders in clothes, a neck and a head."""
    random = canvas.random
    x, y = center
    tilt = random.normal(0, 0.12)
    wide, drop = random.uniform(1.4, 2.4), random.uniform(0.9, 1.3)
    shoulder = y + size * (drop + random.uniform(0.3, 0.6))
    half = [(0.35, y + size * drop), (wide, shoulder + size * 0.5), (wide + 0.3, y + size * 5)]
    torso = np.array([(x - size * out, down) for out, down in half[:1]] + [(x + size * out, down) for out, down in half])
    torso = np.concatenate([torso, [(x - size * out, down) for out, down in half[:0:-1]]])
    canvas.shape(_placed(oval((0, 1), (0.4, 0.7)), center, size, 0), "neck", FLESH)
    canvas.shape(torso, "cloth")
    if random.random() < 0.6:  # a collar of two bands
        low = y + size * random.uniform(1.8, 3)
        for side in (-1, 1):
            band = bend((x + side * size * 0.5, y + size * drop), (x - side * size * random.uniform(0, 0.5), low), 0.1 * side)
            canvas.shape(capsule(band, np.full(len(band), size * random.uniform(0.08, 0.25))), "cloth")
    for _ in range(int(random.integers(0, 5))):
        fold = bend((x + random.uniform(-1.5, 1.5) * size, shoulder), (x + random.uniform(-2, 2) * size, y + size * 4), 0.15)
        canvas.line(fold, 0.06 * size, "cloth")
    head(canvas, center, size, tilt)


def figure(canvas: Canvas, foot: Place, height: float) -> None:
    """Draw a whole figure standing, walking or sitting with its feet at a point."""
    random = canvas.random
    x, y = foot
    unit = height / random.uniform(6, 8)  # a head's length
    lean = random.normal(0, 0.12) * height
    hip, neck = (x, y - height * random.uniform(0.42, 0.5)), (x + lean, y - height + unit * 1.25)
    limb = unit * random.uniform(0.22, 0.4)
    sleeves, gown = int(random.integers(3, 8)), random.random() < 0.5

    def arm_or_leg(start: Place, end: Place, part: str, color: int | None) -> None:
        spine = bend(start, end, random.normal(0, 0.16))
        canvas.shape(capsule(spine, np.linspace(limb, limb * 0.6, len(spine))), part, color)

    stride = random.uniform(0.05, 0.25) * height
    for side in (-1, 1):
        arm_or_leg(
            (hip[0] + side * limb, hip[1]), (x + side * stride * random.uniform(0.2, 1), y), "limb", FLESH if gown else None
        )
    shoulders = unit * random.uniform(0.7, 1.1)
    body = [(neck[0] - shoulders, neck[1]), (neck[0] + shoulders, neck[1])]
    if gown:
        flare = random.uniform(0.9, 2.2) * unit
        body += [(hip[0] + flare, y - unit * 0.3), (hip[0] - flare, y - unit * 0.3)]
    else:
        body += [(hip[0] + shoulders * 0.8, hip[1] + limb), (hip[0] - shoulders * 0.8, hip[1] + limb)]
    canvas.shape(np.array(body), "cloth")
    for side in (-1, 1):
        hand = (neck[0] + side * random.uniform(0.6, 2.6) * unit, neck[1] + random.uniform(-1.2, 2.8) * unit)
        arm_or_leg((neck[0] + side * shoulders * 0.9, neck[1] + limb * 0.6), hand, "cloth", sleeves)
        canvas.shape(oval(hand, (limb * 0.7,) * 2), "hand", FLESH, plain=0.9)
    head(canvas, (neck[0], neck[1] - unit * 0.45), unit * 0.55, random.normal(0, 0.15))


def beast(canvas: Canvas, center: Place, size: float) -> None:
    """Draw an animal: a body on four or two legs or on none, a neck, a head with eye and ears, a tail."""
    random = canvas.random
    x, y = center
    facing, color = (1 if random.random() < 0.5 else -1), None if random.random() < 0.5 else int(random.integers(2, 8))
    long, thick = size * random.uniform(0.7, 1.2), size * random.uniform(0.3, 0.55)
    legs = int(random.choice([0, 2, 4, 4]))
    tip = (x - facing * long * random.uniform(1.2, 1.8), y + size * random.uniform(-0.7, 0.4))
    tail = bend((x - facing * long * 0.8, y), tip, random.normal(0, 0.4))
    canvas.shape(capsule(tail, np.linspace(size * random.uniform(0.05, 0.3), size * 0.03, len(tail))), "tail", color)
    for leg in range(legs):
        hip = x + (leg / max(legs - 1, 1) - 0.5) * 1.4 * long * (1 if legs == 4 else 0.3)
        end = (hip + random.normal(0, 0.1) * size, y + thick + size * random.uniform(0.4, 0.6))
        spine = bend((hip, y + thick * 0.3), end, random.normal(0, 0.12))
        canvas.shape(capsule(spine, np.linspace(size * 0.14, size * 0.06, len(spine))), "limb", color)
    canvas.shape(
        blob(random, center, thick, 0.08) * np.array([1, 1]) if legs == 2 else oval(center, (long, thick)), "beast", color
    )
    throat = (x + facing * long * 0.8, y - thick * 0.3)
    skull = (throat[0] + facing * size * random.uniform(0.1, 0.5), throat[1] - size * random.uniform(-0.1, 0.8))
    spine = bend(throat, skull, random.normal(0, 0.2))
    canvas.shape(capsule(spine, np.full(len(spine), size * 0.16)), "beast", color)
    for side in (-0.12, 0.12):
        ear = np.array([(side - 0.08, -0.1), (side + 0.08, -0.1), (side * random.uniform(1, 2.5), -random.uniform(0.3, 0.6))])
        canvas.shape(_placed(ear, skull, size, 0.2 * facing), "ear", color)
    canvas.shape(oval(skull, (size * random.uniform(0.22, 0.36), size * 0.22), facing * 0.3), "head", color)
    canvas.shape(oval((skull[0] + facing * 0.06 * size, skull[1] - 0.05 * size), (size * 0.05,) * 2), "eye", 1, plain=1)
    if random.random() < 0.4:
        beak = np.array([(0.15, -0.08), (0.15, 0.12), (random.uniform(0.4, 0.6), 0.06)]) * np.array([facing, 1])
        canvas.shape(_placed(beak, skull, size, 0), "mouth")
