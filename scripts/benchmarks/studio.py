"""The studio among many: 50 clients with 1,000 mixed requests, slow heads and bodies, cut connections, hostile uploads.

    ./scripts/benchmark studio MODEL [--clients 50] [--requests 1000]

Starts `artgan studio MODEL` as a process of its own. Good clients ask for pages, facts, pictures, saved ones and uploads, and
come again where the studio asks them to; beside them bad ones come all the time. Printed are the times of each kind (the
median, p95, the longest), answers by status, the largest resident memory and what is held when all have left. Linux only:
memory is read from /proc. It fails when the studio is down, a good request was never served, or memory grew by over 1 GB.
"""

import argparse
import io
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
from PIL import Image

KINDS = {"page": 0.25, "facts": 0.2, "grid": 0.25, "save": 0.15, "upload": 0.15}
BAD = {"slow head": 5, "slow body": 5, "cut upload": 1, "cut answer": 1, "no picture": 1, "too long": 1, "stranger": 1}
MAX_GROWTH_MB = 1000
PATIENCE_SECONDS = 120


def noise(side_px: int) -> bytes:
    """Return a PNG of that side."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def memory_mb(process: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 1e6


class Visitors:
    """All that come to a studio.

    Args:
        url: of the studio.
        seed: of the order of requests.
    """

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.host, self.port = urlsplit(url).hostname or "", urlsplit(url).port or 0
        self.draw = random.Random(seed)
        self.picture, self.large = noise(256), noise(1024)
        self.times: dict[str, list[float]] = defaultdict(list)
        self.statuses: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.unserved = 0
        self.over = threading.Event()

    def good(self, kinds: list[str]) -> None:
        """One client: its requests one after another, each until it is served."""
        with httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS) as client:
            for kind in kinds:
                started = time.perf_counter()
                while time.perf_counter() - started < PATIENCE_SECONDS:
                    try:
                        answer = self._ask(client, kind)
                    except httpx.TransportError:
                        self.statuses["no connection"] += 1
                        continue
                    self.statuses[str(answer.status_code)] += 1
                    if answer.status_code != 503:
                        break
                    time.sleep(float(answer.headers.get("retry-after", 1)))
                else:
                    self.unserved += 1
                    continue
                self.unserved += answer.status_code != 200
                self.times[kind].append(time.perf_counter() - started)

    def _ask(self, client: httpx.Client, kind: str) -> httpx.Response:
        seed = self.draw.randrange(1 << 16)
        if kind == "page":
            return client.get(self.draw.choice(("/", "/static/app.js", "/static/style.css")))
        if kind == "facts":
            return client.get(self.draw.choice(("/api/studio", "/api/models/0")))
        if kind == "grid":
            return client.post("/api/render", json={"model": 0, "points": [{"seed": seed + place} for place in range(8)]})
        if kind == "save":
            return client.post("/api/export", json={"model": 0, "point": {"seed": seed}, "format": "png"})
        return client.post("/api/uploads", content=self.picture)

    def misbehave(self, kind: str) -> None:
        """Come again and again, badly, until all good ones have gone."""
        while not self.over.is_set():
            try:
                with socket.create_connection((self.host, self.port), timeout=60) as connection:
                    self._badly(connection, kind)
            except OSError:
                pass
            self.bad[kind] += 1
            self.over.wait(0.2)

    def _badly(self, connection: socket.socket, kind: str) -> None:
        def head(line: str, **fields: object) -> bytes:
            given = {"Host": f"{self.host}:{self.port}"} | {key.replace("_", "-"): value for key, value in fields.items()}
            return (f"{line} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in given.items()) + "\r\n").encode()

        if kind == "slow head":
            self._drip(connection, head("GET /api/studio")[:-2])
        elif kind == "slow body":
            connection.sendall(head("POST /api/uploads", Content_Length=10**6))
            self._drip(connection, self.picture)
        elif kind == "cut upload":
            connection.sendall(head("POST /api/uploads", Content_Length=10**6) + self.picture)
        elif kind == "cut answer":
            points = json.dumps({"model": 0, "points": [{"seed": place} for place in range(64)]}).encode()
            fields = {"Content_Type": "application/json", "Content_Length": len(points)}
            connection.sendall(head("POST /api/render", **fields) + points)
        elif kind == "no picture":
            connection.sendall(
                head("POST /api/uploads", Content_Length=len(self.large) // 2) + self.large[: len(self.large) // 2]
            )
            connection.recv(1 << 16)
        elif kind == "too long":
            connection.sendall(head("POST /api/uploads", Content_Length=10**12))
            connection.recv(1 << 16)
        else:
            connection.sendall(head("POST /api/render", Origin="http://evil.example", Content_Length=0))
            connection.recv(1 << 16)

    def _drip(self, connection: socket.socket, data: bytes) -> None:
        for letter in data:
            if self.over.is_set():
                return
            connection.sendall(bytes([letter]))
            time.sleep(0.25)


def run(visitors: Visitors, process: int, clients: int, requests: int) -> float:
    """Let all come, and return the largest resident memory of the studio in MB."""
    kinds = visitors.draw.choices(list(KINDS), list(KINDS.values()), k=requests)
    bad = [threading.Thread(target=visitors.misbehave, args=(kind,), daemon=True) for kind in BAD for _ in range(BAD[kind])]
    peak = memory_mb(process)
    with ThreadPoolExecutor(clients) as pool:
        for thread in bad:
            thread.start()
        work = [pool.submit(visitors.good, kinds[place::clients]) for place in range(clients)]
        while not all(future.done() for future in work):
            peak = max(peak, memory_mb(process))
            time.sleep(0.1)
        for future in work:
            future.result()
    visitors.over.set()
    for thread in bad:
        thread.join(70)
    return peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    command = [sys.executable, "-m", "artgan", "studio", str(given.model), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as studio:
        assert studio.stdout is not None
        url = (re.search(r"http://\S+/", studio.stdout.readline()) or [""])[0]
        before = memory_mb(studio.pid)
        visitors = Visitors(url, given.seed)
        started = time.perf_counter()
        peak = run(visitors, studio.pid, given.clients, given.requests)
        spent = time.perf_counter() - started
        after = memory_mb(studio.pid)
        is_up = studio.poll() is None and httpx.get(f"{url}api/studio", timeout=30).status_code == 200
        studio.terminate()
    print(f"{given.requests} requests of {given.clients} clients in {spent:.0f} s; by status {dict(visitors.statuses)}")
    print(f"beside them, badly: {dict(visitors.bad)}")
    for kind, times in sorted(visitors.times.items()):
        p95 = sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]
        print(
            f"{kind:7} {len(times):4}: median {statistics.median(times):6.2f} s, p95 {p95:6.2f} s, longest {max(times):6.2f} s"
        )
    print(f"resident memory: {before:.0f} MB before, {peak:.0f} MB at most, {after:.0f} MB after")
    print(f"up: {is_up}; never served: {visitors.unserved}")
    return int(not is_up or visitors.unserved > 0 or peak - before > MAX_GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
