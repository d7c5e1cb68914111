"""A Dask cluster over TLS, with certificates of an own authority: the bytes of one process, and nobody else is let in."""

import datetime
import importlib
import ipaddress
import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import pytest

from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.errors import ConfigError
from artgan.workers.address import announcement
from artgan.workers.tasks import Workers, over_workers
from tests.conftest import ROOT
from tests.integration.test_cluster import failure

dask = pytest.importorskip("dask", reason="needs the cluster extra")
pytest.importorskip("distributed", reason="needs the cluster extra")
x509 = pytest.importorskip("cryptography.x509", reason="needs the c2pa extra, to make certificates")
hashes, serialization, ec = (
    importlib.import_module(f"cryptography.hazmat.primitives.{name}") for name in ("hashes", "serialization", "asymmetric.ec")
)

CLUSTER = """
    import sys
    from distributed import LocalCluster, Security
    if __name__ == "__main__":
        host, protocol, workers = sys.argv[1:]
        options = dict(dashboard_address=None, host=host, protocol=protocol, silence_logs=50)
        secure = Security(require_encryption=protocol == "tls")
        with LocalCluster(n_workers=int(workers), threads_per_worker=1, security=secure, **options) as cluster:
            print(cluster.scheduler_address, flush=True)
            sys.stdin.read()
"""


def certificate(folder, name, issuer=None):
    """Write `name.pem` and `name.key` for 127.0.0.1, signed by (certificate, key) of an issuer or by itself; return both."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / f"{name}.pem").write_bytes(made.public_bytes(pem))
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return made, key


def settings_of(folder, authority, name):
    """Return Dask's settings by which a process trusts an authority and shows a certificate."""
    shown = {"cert": str(folder / f"{name}.pem"), "key": str(folder / f"{name}.key")}
    roles = {
        f"distributed.comm.tls.{role}.{key}": path for role in ("scheduler", "worker", "client") for key, path in shown.items()
    }
    return {"distributed.comm.tls.ca-file": str(folder / f"{authority}.pem")} | roles


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    certificate(folder, "member", certificate(folder, "ours"))
    certificate(folder, "stranger", certificate(folder, "theirs"))
    return folder


@contextmanager
def running(certificates, host, protocol, workers):
    """Run a cluster in a process of its own; yield the address of its scheduler."""
    program = certificates / "cluster.py"
    program.write_text(textwrap.dedent(CLUSTER))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for key, value in settings_of(certificates, "ours", "member").items():
        environment["DASK_" + key.replace(".", "__").replace("-", "_").upper()] = value
    words, pipes = (
        [sys.executable, str(program), host, protocol, str(workers)],
        {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True},
    )
    with subprocess.Popen(words, cwd=certificates, env=environment, stderr=subprocess.DEVNULL, **pipes) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="module")
def cluster(certificates):
    """Yield the address of a scheduler that speaks TLS only."""
    with running(certificates, "127.0.0.1", "tls", 1) as address:
        yield address


def test_a_cluster_over_tls_gives_the_bytes_of_one_process(cluster, certificates, sources, tmp_path, monkeypatch):
    assert cluster.startswith("tls://127.0.0.1:")
    assert "encrypted and signed by your certificates" in announcement(cluster)
    monkeypatch.chdir(sources.parent)
    recipe = Recipe(32, 32, holdout=0.1)
    prepare([sources.name], tmp_path / "here", recipe)
    with dask.config.set(settings_of(certificates, "ours", "member")):
        prepare([sources.name], tmp_path / "there", recipe, workers=Workers(cluster=cluster))
    for name in ("index.jsonl", "images.npy", "collection.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("authority", "name"), [("ours", "stranger"), ("theirs", "stranger"), ("theirs", "member"), (None, None)]
)
def test_who_has_no_certificate_of_the_authority_is_not_let_in(cluster, certificates, authority, name, monkeypatch):
    """Nor is a scheduler believed that another authority signed."""
    monkeypatch.setattr("artgan.workers.cluster._CONNECT_SECONDS", 2)
    theirs = settings_of(certificates, authority, name) if authority else {}
    with dask.config.set(theirs), pytest.raises(ConfigError, match=r"no scheduler answers there .*distributed\.comm\.tls"):
        list(over_workers(failure, [0], Workers(cluster=cluster)))


def test_a_scheduler_that_others_reach_in_the_clear_is_refused(certificates):
    """However it is reached from here: it listens on every address of this machine."""
    with running(certificates, "0.0.0.0", "tcp", 0) as address:
        near = f"tcp://127.0.0.1:{address.rpartition(':')[2]}"
        if address == near:
            pytest.skip("this machine has no other address than its loopback")
        for way in (address, near):
            with pytest.raises(ConfigError, match="neither TLS nor on this machine alone"):
                list(over_workers(failure, [0], Workers(cluster=way)))


def test_nothing_is_sent_to_it_in_the_clear(cluster, monkeypatch):
    monkeypatch.setattr("artgan.workers.cluster._CONNECT_SECONDS", 2)
    with pytest.raises(ConfigError, match="no scheduler answers there"):
        list(over_workers(failure, [0], Workers(cluster=cluster.replace("tls://", "tcp://"))))
