"""What so many images of training give, in words, as it was measured at 64 px (docs/results.md, docs/guide.md).

2,280 painted heads were patches and first faces after 19 thousand images, heads, some torn, after 51, and nine in ten heads
after 140; sheets had holes up to 16 thousand. 285 paintings of one painter were banks, trees and sails after 25 minutes of a
core. Nothing larger was measured.
"""

SHEETS: list[tuple[float, str]] = [
    (0, "fog and patches in the colors of your works"),
    (5, "patches and torn beginnings of forms"),
    (16, "first forms, many with holes"),
    (24, "forms that one recognises, some torn"),
    (100, "where the works are alike, most are whole; where they are mixed, longer"),
]
"""(thousand images, what the sheets usually show from there on), ascending."""
