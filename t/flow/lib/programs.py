"""Unmodified servers, each in a host, waited for until it answers there."""
import os
import pwd

from .hosts import wait_for

POSTGRES = "/usr/lib/postgresql/15/bin"
PG_USER = pwd.getpwnam("postgres") if os.path.isdir(POSTGRES) else None


def answers(host, port, ip="127.0.0.1"):
    def try_it():
        try:
            host.connect(ip, port, 1).close()
            return True
        except OSError:
            return False
    return try_it


def redis(host, port=6379):
    p = host.start("redis-server", "--port", port, "--bind", "127.0.0.1", "::1", "--save", "", "--appendonly", "no", "--protected-mode", "no",
                   "--dir", host.tmp)
    wait_for("redis answers", answers(host, port), 20)
    return p


def postgres(host, port=5432):
    """Its files are made anew; any user is trusted."""
    data = host.tmp / "postgres"
    data.mkdir()
    os.chown(data, PG_USER.pw_uid, PG_USER.pw_gid)
    for parent in host.tmp.parents:         # initdb runs as an ordinary user
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    as_user = ["setpriv", f"--reuid={PG_USER.pw_uid}", f"--regid={PG_USER.pw_gid}", "--clear-groups"]
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(data)}
    done = host.run(*as_user, f"{POSTGRES}/initdb", "-D", data / "db", "-A", "trust", "-U", "postgres", "--no-sync", env=env)
    assert done.returncode == 0, done.stderr
    p = host.start(*as_user, f"{POSTGRES}/postgres", "-D", data / "db", "-p", port, "-h", "127.0.0.1,::1", "-k", data,
                   "-c", "fsync=off", "-c", "shared_buffers=16MB", name="postgres", env=env)
    wait_for("PostgreSQL answers", lambda: "ready to accept connections" in p.output(), 30)
    return p


def nginx(host, port=8080):
    """Serves the folder that it returns."""
    root = host.tmp / "www"
    root.mkdir()
    conf = host.tmp / "nginx.conf"
    conf.write_text(f"""daemon off; master_process off; pid {host.tmp}/nginx.pid; error_log {host.tmp}/nginx.log;
events {{ }}
http {{ access_log off; client_body_temp_path {host.tmp}/body; proxy_temp_path {host.tmp}/proxy;
  fastcgi_temp_path {host.tmp}/fastcgi; uwsgi_temp_path {host.tmp}/uwsgi; scgi_temp_path {host.tmp}/scgi;
  server {{ listen 127.0.0.1:{port}; listen [::1]:{port}; root {root}; }} }}
""")
    p = host.start("nginx", "-c", conf, name="nginx")
    wait_for("nginx answers", answers(host, port), 20)
    return root, p


