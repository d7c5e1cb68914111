"""What training leaves behind at intervals: sheets, evaluations, checkpoints, models.

Several processes share the pictures and the judging; the first one writes.
"""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from artgan.config import dump_config
from artgan.devices import describe_device
from artgan.errors import CheckpointError
from artgan.evaluation import Judge, evaluate_generator
from artgan.evaluation.reference import Reference
from artgan.evaluation.verdict import Standing, standing_of_lines
from artgan.generation.model_folder import ModelCard, load_model, save_model
from artgan.generation.sample import generate
from artgan.generation.space import Space
from artgan.images import grid
from artgan.metrics import label, shown
from artgan.metrics.memorization import nearest_rows
from artgan.models.contract import GeneratorNetwork
from artgan.overview import save_sheet
from artgan.progress import Listener, Progress, format_seconds, silent
from artgan.report.run import NEAREST_FILE, run_page
from artgan.storage import write_whole
from artgan.training import watchdog
from artgan.training.checkpoint import save_checkpoint
from artgan.training.disk import SHEET_PICTURES, make_room, sizes_of
from artgan.training.run_log import RunLog, read_metrics
from artgan.training.session import CHECKPOINTS, Session, checkpoint_info
from artgan.training.sparing import Sparing
from artgan.training.state import generator_arguments, state_tensors

PAGE_FILE = "report.html"
_PAIRS = 16


class _Interrupted(Exception):
    """A stop was asked for in the middle of an evaluation."""


class Outputs:
    """Samples, judges and saves for one session. All processes call every method, in the same order; the first one writes.

    Attributes:
        evaluations_since_best: how many evaluations in a row brought no better KID.
        owes_evaluation: the run has none where training goes on from, as after a stop in the middle of one.
        finished: the session's end stands in the run.
    """

    def __init__(
        self,
        session: Session,
        judge: Judge | None,
        log: RunLog,
        on_progress: Listener,
        stop_requested: Callable[[], int | None],
        sparing: Sparing,
    ) -> None:
        self.session, self.judge, self.log, self._sparing = session, judge, log, sparing
        self.on_progress, self.stop_requested = on_progress, stop_requested
        self._warned: set[str] = set()
        self.finished = False
        self.recount()

    def recount(self) -> None:
        """Read from the run's lines what was judged up to where training goes on."""
        session = self.session
        judged = [line for line in read_metrics(session.run) if line["kind"] == "metrics"] if session.world.is_first else []
        self._protocol_hash = judged[-1]["protocol_hash"] if judged else ""
        self.evaluations_since_best = self._since_best()
        owed = session.world.is_first and (judged[-1]["images_seen"] if judged else 0) < session.state.images_seen
        self.owes_evaluation = bool(session.world.highest(int(owed)))

    def sheet(self) -> None:
        """Save a sheet of the first 64 seeds."""
        pictures, sizes = self._pictures(), sizes_of(self.session.state)
        if self.session.world.is_first:
            needed = sizes.sheet + sizes.save  # the next checkpoint matters more
            self.log.sheet(self.session.state.images_seen, grid(pictures), needed)

    def evaluate(self) -> bool:
        """Judge the averaged generator, keep it as the best model so far by the interval of its KID, and look for trouble.

        Returns:
            False where a stop was asked for: a launcher gives less time than judging takes, so it is left to the next session.
        """
        session = self.session
        assert self.judge is not None
        count = session.config.evaluation.num_generated
        if self._asked_to_stop():
            return False
        try:
            line = evaluate_generator(self.judge, self._generator(), count, on_progress=self._unless_stopped)
        except _Interrupted:
            return False
        self.owes_evaluation = False
        pictures = self._pictures()
        pairs = nearest_pairs(self.judge, pictures[:_PAIRS])
        if session.world.is_first:
            self._keep(line, pictures, pairs)
        return True

    def _keep(self, line: dict[str, Any], pictures: np.ndarray, pairs: np.ndarray) -> None:
        """Write an evaluation, the model if it is the best so far, and what the pictures show."""
        session = self.session
        self._protocol_hash = line["protocol_hash"]
        self.log.metrics(session.state.images_seen, line, session.state.training_seconds / 60)
        best = session.run / "model" / "best"
        previous = self._metrics_of(best) if (best / "config.json").is_file() else None
        comparable = previous if previous and previous["protocol_hash"] == line["protocol_hash"] else None
        if comparable is None or kid_bound(line) < kid_bound(comparable):
            with self._sparing("the best models"):
                self._make_room(sizes_of(session.state).model)
                self._save_model("best", pictures, line)
        note = ", ".join(f"{label(name)} {shown(name, entry['value'])}" for name, entry in line["metrics"].items())
        self._tell("evaluated", f"{note} ({line['protocol']['features']})")
        self.evaluations_since_best = self._since_best()
        self._watch(pictures)
        with self._sparing("pages"):
            save_sheet(session.run / NEAREST_FILE, grid(pairs, columns=8), "samples and the nearest training pictures")
            self._page("training")

    def _metrics_of(self, model: Path) -> dict[str, Any] | None:
        """Return the evaluation of a model of the run; of a damaged one none, so that it is replaced."""
        try:
            return load_model(model).card.metrics
        except CheckpointError as error:
            self._tell("watchdog", f"{error}: the present model takes its place")
            return None

    def checkpoint(self, *, last: bool) -> None:
        """Save everything to go on from, and the averaged generator as the latest model.

        Args:
            last: of the session, which may not do without it.

        Raises:
            StorageError: the last one cannot be written, or one would take more than the run may; earlier ones are whole.
        """
        session, pictures = self.session, self._pictures()
        if session.world.is_first:
            self._make_room(sizes_of(session.state).save)
            with nullcontext() if last else self._sparing("checkpoints"):
                keep = session.config.training.keep_checkpoints
                save_checkpoint(session.run / CHECKPOINTS, state_tensors(session.state), checkpoint_info(session), keep)
                self._save_model("latest", pictures, None)

    def finish(self, status: str) -> None:
        """Write how the session ended, and the run's page; no process leaves before it is written."""
        images = round(self.session.config.training.total_kimg * 1000)
        if self.session.world.is_first:
            with self._sparing("pages"):
                self._page(status)
            self.log.status(status, self.session.state.images_seen, images)
        self.finished = True
        self.session.world.wait()

    def _since_best(self) -> int:
        """Return how many evaluations in a row brought no better KID; 0 in all processes but the first."""
        if not self.session.world.is_first:
            return 0
        return watchdog.evaluations_since_best([bound for _, bound in self._history()])

    def _history(self) -> list[tuple[int, float]]:
        """Return (images seen, `kid_bound`) of the run's evaluations under the present protocol, in order."""
        lines = [line for line in read_metrics(self.session.run) if line["kind"] == "metrics"]
        return [(line["images_seen"], kid_bound(line)) for line in lines if line["protocol_hash"] == self._protocol_hash]

    def _watch(self, pictures: np.ndarray) -> None:
        """Write the watchdog's numbers on the first seeds' pictures, and say what is newly wrong."""
        session = self.session
        relative = watchdog.relative_diversity(pictures, session.collection)
        overfit = watchdog.overfitting(
            session.state.discriminator, session.collection, pictures, session.config.model.conditional
        )
        self.log.note(session.state.images_seen, "watch", watchdog.summary(relative, overfit))
        found = watchdog.warnings(relative, overfit, self._history())
        for kind, text in found.items():
            if kind not in self._warned:
                self._tell("watchdog", text)
                self.log.note(session.state.images_seen, "warning", {"about": kind, "text": text})
        self._warned = set(found)

    def _page(self, status: str) -> None:
        """Write report.html."""
        session, collection = self.session, self.session.collection
        facts = {
            "state": f"{status}, {session.state.images_seen / 1000:,.1f} kimg of {session.config.training.total_kimg:,g}",
            "time": f"{format_seconds(session.state.training_seconds)} of training",
            "collection": f"{collection.name}: {len(collection.train_rows)} works at {collection.width}x{collection.height} px",
            "device": f"{describe_device(session.device)}, {session.config.training.precision}",
            "judge": self.judge.features if self.judge else "none",
        }
        stands = str(standing(session.run, session.state.images_seen))
        page = run_page(session.run, read_metrics(session.run), facts, dump_config(session.config), stands)
        self._make_room(len(page.encode()))
        write_whole(session.run / PAGE_FILE, page)

    def _asked_to_stop(self) -> bool:
        """Return whether any process was asked to stop."""
        return bool(self.session.world.highest(int(self.stop_requested() is not None)))

    def _unless_stopped(self, progress: Progress) -> None:
        """Pass progress on, or break off; all processes judge in step, so all get here."""
        if self._asked_to_stop():
            raise _Interrupted
        self.on_progress(progress)

    def _make_room(self, needed: int) -> None:
        make_room(self.session.run, self.session.config.training.max_disk_gb, needed)

    def _tell(self, task: str, note: str) -> None:
        self.on_progress(Progress(task, self.session.state.images_seen / 1000, None, "kimg", note))

    def _generator(self) -> GeneratorNetwork:
        """Return the averaged generator in float32, which is what is shared and judged."""
        state = self.session.state
        return copy.deepcopy(state.ema).float() if state.dtype == torch.float64 else state.ema

    def _pictures(self) -> np.ndarray:
        """Return the pictures of the first 64 seeds, uint8 `[64, H, W, 3]`; classes take turns."""
        collection, world = self.session.collection, self.session.world
        num_classes = generator_arguments(self.session.config, collection)["num_classes"]
        mine, length = world.share(SHEET_PICTURES)
        labels = [seed % num_classes if num_classes else 0 for seed in mine]
        made = np.zeros((length, collection.height, collection.width, 3), np.uint8)
        for index, picture in enumerate(generate(Space(self._generator(), num_classes), mine, labels)):
            made[index] = picture
        gathered = world.gather(torch.from_numpy(made).to(self.session.device))
        return torch.cat(gathered)[:SHEET_PICTURES].cpu().numpy()

    def _save_model(self, name: str, pictures: np.ndarray, metrics: dict[str, Any] | None) -> None:
        config, collection = self.session.config, self.session.collection
        origin: dict[str, Any] = {
            "name": collection.name,
            "pixel_hash": collection.pixel_hash,
            "count": len(collection.train_rows),
            "rights": list(collection.rights),
            **({"earlier": list(collection.earlier)} if collection.earlier else {}),
        }
        card = ModelCard(
            architecture=config.model.generator,
            arguments=generator_arguments(config, collection),
            classes=collection.classes if config.model.conditional else (),
            images_seen=self.session.state.images_seen,
            collection=origin,
            metrics=metrics,
        )
        save_model(self.session.run / "model" / name, self._generator(), card, grid(pictures))


def standing(run: Path, images_seen: int) -> Standing:
    """Return how a run stands, by its own lines."""
    return standing_of_lines(read_metrics(run), images_seen)


def kid_bound(line: dict[str, Any]) -> float:
    """Return the upper end of a metrics line's KID interval: models are ordered by what they are at least as good as.

    A lucky sample then does not win over a sure one. Where there are too few pictures for an interval, the value stands in.
    """
    kid = line["metrics"]["kid"]
    return float(kid["value"] if kid["high"] is None else kid["high"])


def nearest_pairs(judge: Judge, pictures: np.ndarray) -> np.ndarray:
    """Return each picture followed by the training picture nearest to it in the judge's features, uint8 `[2 N, H, W, 3]`."""
    features = judge.extract(lambda indices: iter(pictures[list(indices)]), len(pictures), "looking for copies", silent)
    nearest = nearest_rows(features, Reference(judge).train)
    rows = judge.collection.train_rows[nearest.rows]
    pairs = np.stack([pictures, judge.collection.images[rows]], 1)
    return pairs.reshape(-1, *pictures.shape[1:])
