"""Unmodified origins for HTTP.  Each serves on 127.0.0.1:9000 of its host, answers /v/N (N from 0 to 999) with that, and
writes down every request that it sees: lines() has "seen <X-Id> <request>" for each."""
from .hosts import wait_for
from .http_origin import Origin, Script, answer
from .programs import answers

PORT = 9000

NODE = """
const http = require('http')
http.createServer({ keepAliveTimeout: 60000 }, (q, s) => {
  console.log('seen', q.headers['x-id'], q.method, q.url)
  q.on('data', () => {})
  q.on('end', () => s.end(q.url))
}).on('clientError', (e, c) => { console.log('seen broken', e.code); c.destroy() }).listen(9000, '127.0.0.1')
"""

WSGI = """
import sys
def app(env, start):
    print("seen", env.get("HTTP_X_ID"), env["REQUEST_METHOD"], env["RAW_URI"], file=sys.stderr, flush=True)
    env["wsgi.input"].read()
    body = env["RAW_URI"].encode("latin-1", "replace")
    start("200 OK", [("Content-Length", str(len(body)))])
    return [] if env["REQUEST_METHOD"] == "HEAD" else [body]
"""


class Program:
    """One that runs; `log` is where its lines are, `status` what it answers /v/N with."""

    def __init__(self, host, process, log=None, status=200):
        self.host, self.process, self.log, self.status = host, process, log, status

    def lines(self):
        text = self.log.read_text(errors="replace") if self.log else self.process.output()
        return [line for line in text.splitlines() if line.startswith("seen ")]

    def close(self):
        """Its lines are whole after that."""
        self.process.stop()


def _start(host, *argv, log=None, status=200):
    p = host.start(*argv)
    wait_for(f"{argv[0]} answers", lambda: p.popen.poll() is not None or answers(host, PORT)(), 20)
    assert p.popen.poll() is None, p.output()
    return Program(host, p, log, status)


def _pages(host):
    """What a server of files has for /v/0 to /v/999."""
    root = host.tmp / "www"
    (root / "v").mkdir(parents=True)
    (root / "index.html").write_text("index")
    for n in range(1000):
        (root / "v" / str(n)).write_text(f"/v/{n}")
    return root


def nginx(host):
    conf = host.tmp / "origin.conf"
    conf.write_text(f"""daemon off; master_process off; pid {host.tmp}/nginx.pid; error_log {host.tmp}/nginx.log;
events {{ }}
http {{ log_format seen 'seen $http_x_id $request'; access_log {host.tmp}/seen seen; keepalive_requests 100000;
  client_body_temp_path {host.tmp}/body; proxy_temp_path {host.tmp}/proxy;
  fastcgi_temp_path {host.tmp}/fastcgi; uwsgi_temp_path {host.tmp}/uwsgi; scgi_temp_path {host.tmp}/scgi;
  server {{ listen 127.0.0.1:{PORT}; location / {{ return 200 $request_uri; }} }} }}
""")
    return _start(host, "nginx", "-c", conf, log=host.tmp / "seen")


class HAProxy(Program):
    """With an origin of ours behind it: what either of them sees is counted."""

    def __init__(self, host):
        conf = host.tmp / "origin.cfg"
        conf.write_text(f"""global
  maxconn 1000
  log stdout format raw local0
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:{PORT}
  log global
  capture request header X-Id len 64
  log-format "seen %[capture.req.hdr(0)] %r"
  default_backend out
backend out
  http-reuse always
  server origin 127.0.0.1:9001
""")
        self.origin = Origin(host, "127.0.0.1", 9001, script=self._script)
        process = host.start("haproxy", "-f", conf)
        wait_for("haproxy answers", answers(host, PORT), 20)
        super().__init__(host, process)

    @staticmethod
    def _script(request):
        return Script(answer(b"" if request.method == b"HEAD" else bytes(request.target)))

    def lines(self):
        behind = [f"seen behind {(r.id or b'-').decode()} {r.target.decode('latin-1')}" for r in self.origin.heads]
        known = super().lines()
        ids = [line.split()[1] for line in known]
        return known + [b for b in behind if b.split()[2] not in ids]

    def close(self):
        super().close()
        self.origin.close()


def node(host):
    script = host.tmp / "origin.js"
    script.write_text(NODE)
    return _start(host, "node", script)


def gunicorn(host):
    (host.tmp / "origin.py").write_text(WSGI)
    return _start(host, "gunicorn", "--chdir", host.tmp, "-b", f"127.0.0.1:{PORT}", "-k", "gthread", "--threads", 8, "--keep-alive", 60,
                  "--log-level", "error", "origin:app")


def lighttpd(host):
    conf = host.tmp / "lighttpd.conf"
    conf.write_text(f"""server.document-root = "{_pages(host)}"
server.bind = "127.0.0.1"
server.port = {PORT}
server.modules = ( "mod_accesslog" )
server.max-keep-alive-requests = 100000
server.max-keep-alive-idle = 60
server.upload-dirs = ( "{host.tmp}" )
index-file.names = ( "index.html" )
accesslog.filename = "{host.tmp}/seen"
accesslog.format = "seen %{{X-Id}}i %r"
""")
    return _start(host, "lighttpd", "-D", "-f", conf, log=host.tmp / "seen")


def apache(host):
    """It is not root, and need not read what is in the test's folder: it answers by its page for what is not there."""
    conf = host.tmp / "apache.conf"
    modules = "\n".join(f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so" for m in ("mpm_event", "authz_core"))
    conf.write_text(f"""{modules}
ServerName localhost
Listen 127.0.0.1:{PORT}
PidFile {host.tmp}/apache.pid
DefaultRuntimeDir {host.tmp}
ErrorLog {host.tmp}/apache.log
User www-data
Group www-data
KeepAliveTimeout 60
MaxKeepAliveRequests 0
StartServers 1
DocumentRoot /usr/lib/apache2
ErrorDocument 404 "%{{REQUEST_URI}}"
LogFormat "seen %{{X-Id}}i %r" seen
CustomLog {host.tmp}/seen seen
<Directory />
Require all granted
</Directory>
""")
    return _start(host, "apache2", "-D", "FOREGROUND", "-f", conf, log=host.tmp / "seen", status=404)


ORIGINS = {"nginx": nginx, "haproxy": HAProxy, "node": node, "gunicorn": gunicorn, "lighttpd": lighttpd, "apache": apache}


# ---- for programs in a mesh ----

def files(host, port=8080):
    """nginx with a folder that can be read and written; the folder."""
    root = host.tmp / "files"
    root.mkdir()
    conf = host.tmp / "files.conf"
    conf.write_text(f"""daemon off; master_process off; pid {host.tmp}/files.pid; error_log {host.tmp}/files.log;
events {{ }}
http {{ access_log off; client_body_temp_path {host.tmp}/body; client_max_body_size 0; proxy_temp_path {host.tmp}/proxy;
  fastcgi_temp_path {host.tmp}/fastcgi; uwsgi_temp_path {host.tmp}/uwsgi; scgi_temp_path {host.tmp}/scgi;
  server {{ listen 127.0.0.1:{port}; listen [::1]:{port}; root {root};
    location /given/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
    location = /says {{ return 200 "$http_host $http_x_forwarded_proto $http_x_request_id $server_protocol"; }} }} }}
""")
    host.start("nginx", "-c", conf)
    wait_for("nginx answers", answers(host, port), 20)
    return root


WEBSOCKETS = """
import asyncio, websockets

async def echo(ws, path=None):
    async for message in ws:
        await ws.send(message)

async def main():
    async with websockets.serve(echo, "127.0.0.1", %d, max_size=1 << 26):
        print("ready", flush=True)
        await asyncio.Future()

asyncio.run(main())
"""


def websocket_echo(host, port=8090):
    p = host.start("/usr/bin/python3", "-c", WEBSOCKETS % port, name="websockets")
    wait_for("it is ready", lambda: "ready" in p.output(), 20)
    return p


def forward_proxy(host, port, to):
    """apache2, which makes CONNECT tunnels to one port."""
    conf = host.tmp / "proxy.conf"
    modules = "\n".join(f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so" for m in ("mpm_event", "authz_core", "proxy", "proxy_connect"))
    conf.write_text(f"""{modules}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {host.tmp}/proxy.pid
DefaultRuntimeDir {host.tmp}
ErrorLog {host.tmp}/proxy.log
User www-data
Group www-data
StartServers 1
ProxyRequests On
AllowCONNECT {to}
""")
    host.start("apache2", "-D", "FOREGROUND", "-f", conf)
    wait_for("apache2 answers", answers(host, port), 20)
