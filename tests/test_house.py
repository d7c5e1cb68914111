"""The house: imports go down only, nothing works at import, files stay readable, nothing unsafe, no host of an index."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from artgan import __all__ as public_names
from tests.conftest import ROOT

PACKAGE = ROOT / "artgan"
FILES = sorted(PACKAGE.rglob("*.py"))
# Floors, from the ground up. A module may import from lower floors, and on its own floor only within its own room.
FLOORS = [
    {
        "errors",
        "file_names",
        "tables",
        "schema",
        "arguments",
        "seeding",
        "progress",
        "storage",
        "object_store",
        "overview",
        "side_files",
        "targets",
        "images",
        "metadata",
        "signing",
        "devices",
        "enlarging",
        "decode",
        "weights",
        "fetching",
        "world",
        "workers",
    },
    {"config"},
    {"backbones"},
    {"datasets", "drawings", "models", "objectives", "augment", "metrics"},
    {"refine"},
    {"generation"},
    {"evaluation", "report", "importing", "modelpage", "refined_film"},
    {"training"},
    {"api", "demo", "describe", "doctor", "selection"},
    {"studio"},
    {"cli"},
    {"__main__"},
]
SHARED_GROUND = FLOORS[0]  # the ground floor is one room: its modules may use each other, without a loop
# These `__init__` files are tables: text that names modules and imports nothing, readable from any floor.
TABLES = {
    "artgan.backbones",
    "artgan.models",
    "artgan.objectives",
    "artgan.objectives.terms",
    "artgan.augment",
    "artgan.metrics",
    "artgan",
}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def floor_of(room: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms)


def imports_of(path: Path):
    """Yield the artgan modules that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "artgan":
            for alias in node.names:
                as_module = PACKAGE.joinpath(*node.module.split(".")[1:], f"{alias.name}.py")
                as_package = PACKAGE.joinpath(*node.module.split(".")[1:], alias.name, "__init__.py")
                yield f"{node.module}.{alias.name}" if as_module.exists() or as_package.exists() else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "artgan")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts == ("__init__",):
        assert list(imports_of(path)) == []
        return
    room = parts[0]
    for imported in imports_of(path):
        other = room_of(imported)
        if imported in TABLES or other == room or (room in SHARED_GROUND and other in SHARED_GROUND):
            continue
        assert floor_of(other) < floor_of(room), f"{path.name} ({room}) imports {imported}: not below it"


def test_the_rooms_of_one_floor_have_no_loop():
    """On the ground floor modules may use each other; following the imports must come to an end."""
    graph = {}
    for name in SHARED_GROUND:
        files = sorted((PACKAGE / name).glob("*.py")) or [PACKAGE / f"{name}.py"]
        graph[name] = {room_of(module) for path in files for module in imports_of(path)} & SHARED_GROUND - {name}
    placed: set[str] = set()
    while len(placed) < len(graph):
        free = {name for name in graph if name not in placed and graph[name] <= placed}
        assert free, f"a loop among {set(graph) - placed}"
        placed |= free


@pytest.mark.parametrize("room", ["metrics", "evaluation"])
def test_judges_know_nothing_of_what_is_trained_on(room):
    """What judges a generator must not share code with what trained it, or the two could be wrong together."""
    for path in (PACKAGE / room).rglob("*.py"):
        assert {room_of(module) for module in imports_of(path)} & {"objectives", "augment", "training"} == set(), path.name


def test_every_module_has_a_floor():
    rooms = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES} - {"__init__"}
    assert rooms == set().union(*FLOORS)


def test_the_readme_names_every_room():
    plan = (ROOT / "README.md").read_text().partition("## The house")[2].split("```")[1]
    rooms = {f"{name}{'/' if (PACKAGE / name).is_dir() else '.py'}" for name in set().union(*FLOORS) - {"__main__"}}
    assert {
        room for room in rooms if not re.search(rf"(^|  )artgan/{room}|(^|  ){re.escape(room)}( |$)", plan, re.MULTILINE)
    } == set()


def test_tables_name_things_that_exist():
    from artgan.augment import AUGMENTATIONS
    from artgan.backbones import BACKBONES
    from artgan.models import DISCRIMINATORS, GENERATORS
    from artgan.objectives import OBJECTIVES

    for table in (AUGMENTATIONS, BACKBONES, DISCRIMINATORS, GENERATORS, OBJECTIVES):
        assert all(callable(table.load(name)) for name in table)


def test_public_names_can_be_imported():
    import artgan

    for name in set(public_names) - {"__version__"}:
        public = getattr(artgan, name)
        assert callable(public)
        assert public.__doc__, f"{name} is public and says nothing of itself"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        artgan.nonsense


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["refine", "--help"], ["train", "--collection", "x", "--run", "y", "--set", "seeed=1"]],
    ids=["help", "train-help", "refine-help", "config-error"],
)
def test_help_and_config_errors_never_import_torch(arguments):
    program = (
        "import sys\nfrom artgan.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'numpy'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 400
    foreign = {letter for letter in path.read_text() if not letter.isascii()}
    assert foreign <= set("éńïäö"), "only letters of people's names: look-alikes and typographic signs hide in code"
    assert path.stem not in ("utils", "helpers", "misc", "common")


def test_the_training_loop_stays_under_a_hundred_lines():
    tree = ast.parse((PACKAGE / "training" / "loop.py").read_text())
    loop = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "train")
    assert loop.end_lineno - loop.lineno < 100


def renames(node: ast.AST) -> bool:
    """Return whether a call moves a file: `os.replace`, `shutil.move`, or `rename` or `replace` of a path (one argument)."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    of_module = isinstance(node.func.value, ast.Name) and node.func.value.id in ("os", "shutil")
    if of_module:
        return node.func.attr in ("replace", "rename", "renames", "move")
    return node.func.attr == "rename" or (node.func.attr == "replace" and len(node.args) == 1 and not node.keywords)


def test_only_world_knows_the_variables_of_launchers():
    variables = re.compile(r"""environ\b.*["'](LOCAL_)?(RANK|WORLD_SIZE)["']|["'](LOCAL_)?(RANK|WORLD_SIZE)["'].*\benviron\b""")
    assert {path.name for path in FILES if variables.search(path.read_text())} == {"world.py"}


def test_only_storage_renames():
    """Elsewhere a place is written through `artgan.storage`, so that nobody meets half a file and no old one is lost."""
    found = {path.name for path in FILES for node in ast.walk(ast.parse(path.read_text())) if renames(node)}
    assert found == {"storage.py"}


def test_nothing_unpickles_and_nothing_evaluates():
    unsafe = re.compile(r"weights_only *= *False|\bpickle\b|yaml\.load\(|(?<![.\w])eval\(|shell *= *True|allow_pickle *= *True")
    reader = PACKAGE / "importing" / "unpickle.py"  # a process of its own with an exact list of names, tested apart
    texts = {path: path.read_text().splitlines() for path in FILES if path != reader}
    found = [f"{path.name}: {line}" for path, lines in texts.items() for line in lines if unsafe.search(line)]
    assert [line for line in found if "without pickle" not in line and "no pickle" not in line.lower()] == []


# Descents outside training: projection changes a picture's styles, fitting a network for one look, pretraining a backbone.
OTHER_DESCENTS = (
    Path("refine/fitting.py"),
    Path("refine/enlarging/learner.py"),
    Path("generation/projection.py"),
    Path("drawings/pretrain.py"),
)


def test_only_the_two_steps_step():
    for path in FILES:
        if path.relative_to(PACKAGE) in (Path("training/steps.py"), *OTHER_DESCENTS):
            continue
        assert not re.search(r"\.backward\(|zero_grad\(|optimizer\w*\.step\(", path.read_text()), path


def test_no_committed_file_names_a_package_index_or_a_folder_of_a_machine():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    options, hosts, folders = ["index-" + "url", "find-" + "links"], ["py" + "pi", "python" + "hosted"], ["root/", r"home/\w"]
    forbidden = re.compile("|".join([*options, *(rf"{host}\." for host in hosts), *(f"/{folder}" for folder in folders)]))
    for name in tracked.stdout.split():
        content = (ROOT / name).read_bytes()
        if b"\0" in content:  # pictures and weights
            continue
        hits = [line for line in content.decode().splitlines() if forbidden.search(line)]
        assert not hits, f"{name}: {hits[:3]}"
