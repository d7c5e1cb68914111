"""What is read into a schema, and the sentence for each kind of mistake: as people would say it, whatever checks it."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, field_validator

from artgan.errors import ConfigError
from artgan.schema.reader import Section, check_values, parse_settings, read
from artgan.schema.strict_yaml import parse_text


class Paint(Section):
    kind: Literal["oil", "ink"] = "oil"
    layers: Annotated[int, Field(gt=0, lt=10)] = 3
    thickness: Annotated[float, Field(ge=0)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    angle: float = Field(default=0.0, ge=0, lt=360)
    colors: tuple[Literal["red", "blue"], ...] = ()
    place: tuple[int, int] = (0, 0)
    amounts: dict[str, Annotated[float, Field(gt=0)]] | None = None
    varnish: bool = False
    maker: Annotated[str, Field(pattern="^[A-Z]", examples=["Anna", "Ben"])] = "Anna"
    title: str = ""

    @field_validator("title")
    @classmethod
    def _is_short(cls, title: str) -> str:
        if len(title) > 12:
            raise ValueError(f"'{title}' is longer than 12 letters")
        return title


class Work(Section):
    version: Literal[1] = 1
    paint: Paint = Paint()


def told(text: str, *settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(Work, parse_text(text, "work.yaml"), *parse_settings(settings, "paint.layers=2"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("kind: olio", "kind = 'olio' (did you mean 'oil'?): expected one of oil, ink"),
        ("layers: 0", "layers = 0: expected a whole number from 1 to 9"),
        ("layers: 2.5", "layers = 2.5: expected a whole number from 1 to 9"),
        ("thickness: thick", "thickness = 'thick': expected a number of 0 or more"),
        ("thickness: .inf", "thickness = inf: expected a number of 0 or more"),
        ("share: 0", "share = 0: expected a number above 0, up to 1"),
        ("angle: 360", "angle = 360: expected a number from 0 to below 360"),
        ("colors: red", "colors = 'red': expected a list"),
        ("colors: [bleu]", "colors.0 = 'bleu' (did you mean 'blue'?): expected one of red, blue"),
        ("place: [1]", "place = [1]: expected a list of 2"),
        ("place: [1, a]", "place.1 = 'a': expected a whole number"),
        ("amounts: 3", "amounts = 3: expected names, each with its value"),
        ("amounts: {red: -1}", "amounts.red = -1: expected a number above 0"),
        ("varnish: 1", "varnish = 1: expected true or false"),
        ("maker: zoe", "maker = 'zoe': expected a text such as Anna, Ben"),
        ("title: 3", "title = 3: expected a text"),
        ("title: a long portrait", "title: 'a long portrait' is longer than 12 letters"),
    ],
)
def test_a_wrong_value_is_told_with_its_line_what_it_is_and_what_was_expected(value, sentence):
    assert told(f"paint:\n  {value}\n") == f"work.yaml:2: paint.{sentence}"


def test_what_was_typed_is_told_as_it_was_typed():
    assert told("", "paint.layers=many") == "--set paint.layers=many: expected a whole number from 1 to 9"
    assert told("", "paint.title=a long portrait") == (
        "--set paint.title=a long portrait: 'a long portrait' is longer than 12 letters"
    )
    assert told("paint: 3", "paint.layers=2") == "--set paint.layers=2: 'paint' is a value, not a section (work.yaml:1)"
    assert told("version: 2") == "work.yaml:1: version = 2: expected 1"
    assert told("paint: 3") == "work.yaml:1: paint = 3: expected keys with values below it"


def test_a_day_is_a_text_and_bytes_are_nothing():
    """YAML makes dates of texts that look like them; people write them as titles and names."""
    assert read(Work, parse_text("paint: {title: 1890-07}", "work.yaml")).paint.title == "1890-07"
    assert read(Work, parse_text("paint:\n  maker: Vincent\n  title: 1890-07-02\n", "work.yaml")).paint.title == "1890-07-02"
    assert "not plain numbers, texts, lists and sections" in told("paint:\n  title: !!binary aGk=\n")


def test_values_win_over_the_document_which_stays_as_it_is():
    document = parse_text("paint:\n  layers: 2\n  share: 0.1\n", "work.yaml")
    work = read(Work, document, {"paint.layers": 4})
    assert (work.paint.layers, work.paint.share) == (4, 0.1)
    assert document.data == {"paint": {"layers": 2, "share": 0.1}}


def test_values_are_checked_each_by_itself():
    check_values(Work, *parse_settings(["paint.layers=2"], ""))
    with pytest.raises(ConfigError, match=r"unknown key 'paint\.layer' \(did you mean 'layers'"):
        check_values(Work, *parse_settings(["paint.layer=2"], ""))


def test_the_schema_room_reads_for_both_schemas_alone():
    """One reader: no other module asks the library for a value's check."""
    package = Path(__file__).parents[2] / "artgan"
    readers = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if "model_validate" in path.read_text()}
    assert readers == {"schema/reader.py"}
