"""A model hub on this machine, at the HTTP boundary: repositories in memory, as much protocol as a model folder needs."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


class _Handler(BaseHTTPRequestHandler):
    repositories: dict[str, dict[str, bytes]]

    def log_message(self, *_: object) -> None:
        return

    def _send(self, code: int, body: bytes = b"{}", **headers: str) -> None:
        self.send_response(code)
        given = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
        for name, value in (given | {key.replace("_", "-"): text for key, text in headers.items()}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        if match := re.match(r"/api/models/([^/]+/[^/]+)(?:/revision/[^/?]+)?(?:\?.*)?$", self.path):
            files = self.repositories.get(match[1])
            if files is None:
                self._send(404, b'{"error": "Repository not found"}', X_Error_Code="RepoNotFound")
                return
            names = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            facts = {"id": match[1], "modelId": match[1], "sha": COMMIT, "siblings": names, "private": True, "tags": []}
            self._send(200, json.dumps(facts | {"downloads": 0, "likes": 0}).encode())
        elif match := re.match(r"/api/models/([^/]+/[^/]+)/tree/[^/?]+", self.path):
            files = self.repositories.get(match[1], {})
            entry = {"type": "file"}
            listed = [
                entry | {"path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()} for name, data in files.items()
            ]
            self._send(200, json.dumps(listed).encode())
        elif match := re.match(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)$", self.path):
            data = self.repositories.get(match[1], {}).get(match[2])
            if data is None:
                self._send(404, b"", X_Error_Code="EntryNotFound")
            else:
                self._send(200, data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit=COMMIT)
        else:
            self._send(404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/api/repos/create"):
            content = json.loads(body)
            name = f"{content['organization']}/{content['name']}" if content.get("organization") else content["name"]
            self.repositories.setdefault(name, {})
            self._send(200, json.dumps({"url": f"http://{self.headers['Host']}/{name}", "name": name, "id": name}).encode())
        elif self.path.startswith("/api/validate-yaml"):
            self._send(200, b'{"errors": [], "warnings": []}')
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]
            ]
            self._send(200, json.dumps({"files": files}).encode())
        elif match := re.match(r"/api/models/([^/]+/[^/]+)/commit/", self.path):
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.repositories[match[1]][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            url = f"http://{self.headers['Host']}/{match[1]}/commit/{COMMIT}"
            self._send(200, json.dumps({"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""}).encode())
        else:
            self._send(404)


@contextmanager
def hub() -> Iterator[tuple[str, dict[str, dict[str, bytes]]]]:
    """Yield the address and the repositories, name -> {path: bytes}."""
    repositories: dict[str, dict[str, bytes]] = {}
    handler = type("Handler", (_Handler,), {"repositories": repositories})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", repositories
    server.shutdown()
    server.server_close()
    thread.join()
