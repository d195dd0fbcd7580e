"""Unmodified programs that speak HTTP, through the sidecars of both their hosts, which catch their connections; and what each
hop's log and meshctl say of it."""
import hashlib
import json

import pytest

from conftest import LONG
from lib import http_programs
from lib.http_client import name
from lib.http_mesh import GATE, SERVICES, HttpMesh, address, gate, url
from lib.http_origin import Origin, Script, answer
from lib.mesh import bracket

VERSIONS = pytest.mark.parametrize("version", [4, 6])
SIZE = 1 << 30 if LONG else 64 << 20
CURL = ("curl", "-sS", "--max-time", 120)


@pytest.fixture
def mesh(net):
    m = HttpMesh(net)
    try:
        yield m.start()
    finally:
        m.stop()


def curl(host, *args):
    """Its output, with Python's line ends."""
    done = host.run(*CURL, *args, seconds=150)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def both_logged(mesh, service, version, **fields):
    """A request's lines, the outbound sidecar's and the inbound one's; they tell of the same."""
    port = SERVICES[service][1]
    out = mesh.out.logged(downstream_local=bracket(address(service, version), port), **fields)
    inn = mesh.inn.logged(request_id=out["request_id"])
    for key in "method", "path", "protocol", "status", "received", "sent", "authority", "agent":
        assert out[key] == inn[key], (key, out, inn)
    assert out["cluster"] == f"outbound|{port}||{service}" + ("6" if version == 6 else "")
    assert inn["cluster"] == f"inbound|{port}||" and inn["route"] == "default" and inn["upstream_host"] == f"127.0.0.1:{port}"
    assert out["upstream_host"] == bracket(mesh.b.ip[version], port) == inn["downstream_local"]
    assert out["upstream_local"] == inn["downstream_remote"]
    return out, inn


@pytest.fixture
def blob(net):
    """A file of SIZE, and its digest; no file so large stays."""
    path = net.tmp / "blob"
    digest = hashlib.sha256()
    with open(path, "wb") as f, open("/dev/urandom", "rb") as r:
        piece = r.read(1 << 20)
        for i in range(SIZE >> 20):
            f.write(b"%08d" % i + piece[8:])
            digest.update(b"%08d" % i + piece[8:])
    yield path, digest.hexdigest()
    for left in net.tmp.rglob("*"):
        if left.is_file() and left.stat().st_size >= SIZE:
            left.unlink()


def digest_of(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


# ---- curl and nginx ----

@VERSIONS
def test_what_the_server_is_told(mesh, version):
    http_programs.files(mesh.b)
    host, proto, request_id, protocol = curl(mesh.a, url("web", version, "/says")).split()
    assert (host, proto, protocol) == (bracket(address("web", version), 8080), "http", "HTTP/1.1")
    out, _ = both_logged(mesh, "web", version, method="GET", path="/says", status="200", flags="-", answered="via_upstream")
    assert out["request_id"] == request_id and len(request_id) == 36 and out["agent"].startswith("curl/")
    assert out["authority"] == host
    head = curl(mesh.a, "-D", "-", "-o", "/dev/null", url("web", version, "/says")).lower()
    assert "\nserver: istio-envoy\n" in head and "\nx-envoy-upstream-service-time: " in head and "\ndate: " in head
    assert curl(mesh.a, "-H", "X-Request-Id: mine", url("web", version, "/says")).split()[2] == "mine"


@VERSIONS
def test_large_download(mesh, version, blob):
    path, digest = blob
    root = http_programs.files(mesh.b)
    path.rename(root / "blob")
    got = mesh.a.tmp / "got"
    curl(mesh.a, "-o", got, url("web", version, "/blob"))
    assert digest_of(got) == digest
    out, _ = both_logged(mesh, "web", version, path="/blob")
    assert out["sent"] == str(SIZE) and out["received"] == "0"
    for m in mesh.out, mesh.inn:
        assert m.stat("server.spliced_bytes") > 0 and m.stat("server.buffer_bytes") == 0


@VERSIONS
def test_large_upload_with_100_continue(mesh, version, blob):
    path, digest = blob
    root = http_programs.files(mesh.b)
    done = mesh.a.run(*CURL, "-v", "-T", path, url("web", version, "/given/blob"), seconds=150)
    assert done.returncode == 0 and "< HTTP/1.1 100 Continue" in done.stderr and "< HTTP/1.1 201 " in done.stderr, done.stderr[-2000:]
    assert digest_of(root / "given" / "blob") == digest
    out, _ = both_logged(mesh, "web", version, method="PUT", status="201")
    assert out["received"] == str(SIZE)
    for m in mesh.out, mesh.inn:
        assert m.stat("server.buffer_bytes") == 0


@VERSIONS
def test_chunked_upload(mesh, version):
    root = http_programs.files(mesh.b)
    data = b"".join(b"%08d" % i for i in range(1 << 20))
    (mesh.a.tmp / "part").write_bytes(data)
    curl(mesh.a, "-T", mesh.a.tmp / "part", "-H", "Transfer-Encoding: chunked", "-H", "Content-Length:", url("web", version, "/given/part"))
    assert (root / "given" / "part").read_bytes() == data


def test_one_connection_for_many_requests(mesh):
    root = http_programs.files(mesh.b)
    for i in range(20):
        (root / f"file-{i}").write_text(f"<{i}>")
    assert curl(mesh.a, url("web", 4, "/file-[0-19]")) == "".join(f"<{i}>" for i in range(20))
    assert mesh.out.stat("cluster.outbound|8080||web.upstream_cx_total") == 1
    assert mesh.inn.stat("cluster.inbound|8080||.upstream_cx_total") == 1
    assert mesh.out.stat("cluster.outbound|8080||web.upstream_rq_total") == 20


def test_many_at_once(mesh):
    root = http_programs.files(mesh.b)
    for i in range(200):
        (root / f"file-{i}").write_text(f"<{i}>" * 1000)
    curl(mesh.a, "-Z", "--parallel-max", 50, "--output-dir", mesh.a.tmp, "-o", "got-#1", url("web", 4, "/file-[0-199]"))
    for i in range(200):
        assert (mesh.a.tmp / f"got-{i}").read_text() == f"<{i}>" * 1000


def test_head_1_0_ranges_and_404(mesh):
    root = http_programs.files(mesh.b)
    (root / "file").write_text("0123456789")
    head = curl(mesh.a, "-I", url("web", 4, "/file"))
    assert head.startswith("HTTP/1.1 200 OK\n") and "content-length: 10\n" in head.lower()
    assert curl(mesh.a, "--http1.0", url("web", 4, "/file")) == "0123456789"
    assert curl(mesh.a, "-r", "2-4", url("web", 4, "/file")) == "234"
    assert curl(mesh.a, "-o", "/dev/null", "-w", "%{http_code}", url("web", 4, "/none")) == "404"
    assert mesh.out.logged(path="/none")["flags"] == "-"
    head = curl(mesh.a, "-I", "-z", root / "file", url("web", 4, "/file"))
    assert head.startswith("HTTP/1.1 304 ")


def test_trailers(mesh):
    """curl shows them as it shows a head's fields."""
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n"
    with Origin(mesh.b, "127.0.0.1", 8091, script=lambda r: Script(body)) as origin:
        head = mesh.a.tmp / "head"
        assert curl(mesh.a, "-D", head, "-H", "TE: trailers", "-H", "Connection: TE", url("origin", 4)) == "hello"
        assert "\nx-sum: 42" in head.read_text().lower()
        assert not origin.wrong


def test_nobody_serves(mesh):
    """The inbound sidecar says so; the outbound one passes it on."""
    out = curl(mesh.a, "-D", "-", url("web", 4))
    assert out.startswith("HTTP/1.1 503 ") and "upstream connect error or disconnect/reset before headers" in out
    assert mesh.inn.logged(status="503")["flags"] == "UF"
    assert mesh.out.logged(status="503")["flags"] == "-"


def test_meshctl_tells_each_hop(mesh):
    http_programs.files(mesh.b)
    curl(mesh.a, url("web", 4, "/says"))
    mesh.out.logged(path="/says")
    for m, cluster, vhost in (mesh.out, "outbound|8080||web", "web:8080"), (mesh.inn, "inbound|8080||", "inbound|http|8080"):
        assert cluster in m.ask("pc", "cluster", "-o", "json")
        routes = m.ask("pc", "route").splitlines()
        assert routes[0].split()[:4] == ["NAME", "VHOST", "NAME", "DOMAINS"]
        assert any(vhost in line.split() for line in routes), routes
        assert json.loads(m.ask("pc", "route", "-o", "json"))
        assert m.stat(f"cluster.{cluster}.upstream_rq_total") == 1 and m.stat(f"cluster.{cluster}.upstream_cx_http1_total") == 1
    listeners = mesh.out.ask("pc", "listener")
    assert "Route: " in listeners, listeners


# ---- tunnels ----

TALK = """
import asyncio, websockets

async def main():
    async with websockets.connect("ws://%s:%d/chat", max_size=1 << 26, compression=None) as ws:
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20, 8 << 20):
            await ws.send(b"x" * size)
            assert await ws.recv() == b"x" * size, size
        await ws.send("text")
        assert await ws.recv() == "text"
        await (await ws.ping())
        await asyncio.gather(*[ws.send(str(i)) for i in range(1000)])
        assert [await ws.recv() for i in range(1000)] == [str(i) for i in range(1000)]
    print(ws.close_code)

asyncio.run(main())
"""


@VERSIONS
def test_websocket(mesh, version):
    http_programs.websocket_echo(mesh.b)
    ip = address("socket", version)
    done = mesh.a.run("/usr/bin/python3", "-c", TALK % (f"[{ip}]" if version == 6 else ip, 8090))
    assert done.stdout == "1000\n", done.stderr[-2000:]
    out, _ = both_logged(mesh, "socket", version, path="/chat", status="101")
    assert int(out["received"]) > 9 << 20 and int(out["sent"]) > 9 << 20


def test_a_websocket_that_the_server_refuses(mesh):
    """An answer like any other, and the connection goes on."""
    with Origin(mesh.b, "127.0.0.1", 8091, script=lambda r: Script(answer(b"no", status=b"403 Forbidden"))) as origin:
        upgrade = ("-H", "Connection: Upgrade", "-H", "Upgrade: websocket")
        assert curl(mesh.a, *upgrade, url("origin", 4), url("origin", 4)) == "nono"
        assert [r.value(b"upgrade") for r in origin.requests] == [b"websocket"] * 2


def test_connect(host, start):
    """curl tunnels through meshd and apache2 to nginx; where CONNECT is not switched on, it is told so."""
    http_programs.forward_proxy(host, 9000, 9100)
    root = http_programs.files(host, 9100)
    (root / "file").write_bytes(b"z" * (1 << 20))
    m = start(host, gate(http='upgrade_configs = [ "websocket", "connect" ];'), intercept="")
    tunnel = ("-p", "-x", f"http://{GATE[0]}:{GATE[1]}")
    assert curl(host, *tunnel, "http://127.0.0.1:9100/file", "http://127.0.0.1:9100/file") == "z" * (2 << 20)
    line = m.logged(method="CONNECT", status="200")
    assert int(line["sent"]) > 2 << 20
    refused = host.run(*CURL, *tunnel, "http://127.0.0.1:9101/")
    assert refused.returncode == 56 and "403" in refused.stderr, refused.stderr
    assert m.reload(gate()).returncode == 0
    refused = host.run(*CURL, *tunnel, "http://127.0.0.1:9100/file")
    assert refused.returncode == 56 and " 40" in refused.stderr, refused.stderr


def test_names_are_kept_apart(mesh):
    """Two services on one host, asked at once: each gets its own."""
    with Origin(mesh.b, "127.0.0.1", 8091) as origin:
        root = http_programs.files(mesh.b)
        (root / "file").write_text("file")
        called = name().decode()
        assert curl(mesh.a, "-H", f"X-Id: {called}", url("origin", 4), url("web", 4, "/file")) == called + "file"
        assert len(origin.requests) == 1
