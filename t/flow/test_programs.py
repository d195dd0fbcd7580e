"""Unmodified programs through both sidecars, over IPv4 and over IPv6, and what meshctl says about them."""
import hashlib
import json
import os

import pytest

from lib import programs
from lib.mesh import address

pytestmark = pytest.mark.parametrize("version", [4, 6])


def both_sides_logged(mesh, version, name, port):
    """One connection's lines: the outbound sidecar's with the service's address, the inbound one's with the host's."""
    ip = address(name, version)
    out = mesh.out.logged(flags="-", downstream_local=f"[{ip}]:{port}" if version == 6 else f"{ip}:{port}")
    host = f"[{mesh.b.v6}]:{port}" if version == 6 else f"{mesh.b.v4}:{port}"
    assert out["cluster"] == f"outbound|{port}||{name}" + ("6" if version == 6 else "")
    assert out["upstream_host"] == host
    inn = mesh.inn.logged(flags="-", downstream_local=host, downstream_remote=out["upstream_local"])
    assert inn["cluster"] == f"inbound|{port}||"
    assert inn["upstream_host"] == f"127.0.0.1:{port}"
    assert (out["received"], out["sent"]) == (inn["received"], inn["sent"])


def test_redis(mesh, version):
    programs.redis(mesh.b)
    cli = ["redis-cli", "-h", address("redis", version)]
    big = "x" * 300_000
    assert mesh.a.run(*cli, "SET", "key", "value").stdout == "OK\n"
    assert mesh.a.run(*cli, "-x", "SET", "big", stdin=big).stdout == "OK\n"
    assert mesh.a.run(*cli, "GET", "key").stdout == "value\n"
    assert mesh.a.run(*cli, "GET", "big").stdout == big + "\n"
    bench = mesh.a.run("redis-benchmark", "-h", address("redis", version), "-n", 2000, "-c", 20, "-q", "-t", "set,get")
    assert bench.returncode == 0 and "GET" in bench.stdout, bench.stdout + bench.stderr
    both_sides_logged(mesh, version, "redis", 6379)


def test_postgresql(mesh, version):
    programs.postgres(mesh.b)
    psql = ["psql", "-h", address("postgres", version), "-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1"]
    done = mesh.a.run(*psql, "-c", "create table t as select generate_series(1, 20000) as n, repeat('y', 100) as text",
                      "-c", "select sum(n), count(*) from t")
    assert done.stdout == "200010000|20000\n", done.stderr
    done = mesh.a.run(*psql, "-c", "copy t to stdout")
    assert len(done.stdout.splitlines()) == 20000
    both_sides_logged(mesh, version, "postgres", 5432)


def test_nginx_download(mesh, version):
    root, _ = programs.nginx(mesh.b)
    body = os.urandom(32 << 20)
    (root / "file").write_bytes(body)
    ip = address("web", version)
    url = f"http://[{ip}]:8080/file" if version == 6 else f"http://{ip}:8080/file"
    got = mesh.a.run("curl", "-sS", "-g", "--max-time", 30, url, text=False)
    assert got.returncode == 0, got.stderr
    assert hashlib.sha256(got.stdout).digest() == hashlib.sha256(body).digest()
    both_sides_logged(mesh, version, "web", 8080)


def test_meshctl_shows_it(mesh, version):
    programs.redis(mesh.b)
    ip, name = address("redis", version), "redis" if version == 4 else "redis6"
    cluster = f"outbound|6379||{name}"
    endpoint = f"[{mesh.b.v6}]:6379" if version == 6 else f"{mesh.b.v4}:6379"
    assert mesh.a.run("redis-cli", "-h", ip, "PING").stdout == "PONG\n"
    mesh.out.logged(cluster=cluster)
    listeners = mesh.out.ask("pc", "listener").splitlines()
    assert listeners[0].split()[:2] == ["ADDRESSES", "PORT"]
    assert any(line.split()[:2] == [ip, "6379"] and cluster in line for line in listeners), listeners
    clusters = mesh.out.ask("pc", "cluster").splitlines()
    assert clusters[0].split()[:5] == ["SERVICE", "FQDN", "PORT", "SUBSET", "DIRECTION"]
    assert any(line.split()[:5] == [name, "6379", "-", "outbound", "STATIC"] for line in clusters), clusters
    endpoints = mesh.out.ask("pc", "endpoint").splitlines()
    assert endpoints[0].split() == ["ENDPOINT", "STATUS", "OUTLIER", "CHECK", "CLUSTER"]
    assert any(line.split() == [endpoint, "HEALTHY", "OK", cluster] for line in endpoints), endpoints
    assert mesh.out.stat(f"cluster.{cluster}.upstream_cx_total") == 1
    assert mesh.inn.stat("cluster.inbound|6379||.upstream_cx_total") == 1
    for what in "listener", "cluster", "endpoint":
        assert json.loads(mesh.out.ask("pc", what, "-o", "json"))
