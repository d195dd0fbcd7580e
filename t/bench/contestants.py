"""Who is measured: each writes its configuration into a folder and says how it is started.  Of HTTP: meshd with all that it does
by default; the others with as little as will do, and what makes them fastest in the case."""
import os
import pwd
import re
import shutil
import subprocess

from processes import ranges

PROXY_ADDRESS = "127.0.0.3"
SERVICE_ADDRESS = "203.0.113.1"     # nobody has it: only what is intercepted arrives
MOST_CONNECTIONS = 7000             # HAProxy wants descriptors for nearly three times as many: no more than 20000


def write(folder, name, text):
    with open(f"{folder}/{name}", "w") as f:
        f.write(text)


def output_of(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout


class Direct:
    """No proxy: what the two ends can do by themselves."""
    name = "direct"
    command = None


# --- HAProxy ---

class Haproxy:
    def __init__(self, splice):
        self.name = "haproxy-splice" if splice else "haproxy"
        self.splice = splice
        self.binary = os.environ.get("HAPROXY") or shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")

    def version(self):
        return output_of(self.binary, "-v").split("\n")[0].split(" - ")[0]

    def command(self, folder, case, workers, port, origin_port):
        tuning, splice = "", "option splice-auto"
        if (case.bulk or case.http) and self.splice:    # `auto` would leave most of these streams unspliced
            tuning, splice = "tune.pipesize 1048576", "option splice-request\n\toption splice-response"
        elif case.bodies:
            tuning = "tune.bufsize 73728"               # 64 KiB and a head; with larger ones it copies more
        elif case.bulk:
            tuning = "tune.bufsize 524288\n\ttune.recv_enough 524288"
        write(folder, "haproxy.cfg", f"""global
	nbthread {workers}
	maxconn {MOST_CONNECTIONS}
	tune.maxaccept 64
	{tuning}
defaults
	mode {"http" if case.http else "tcp"}
	timeout connect 5s
	timeout client 1m
	timeout server 1m
	{"http-reuse always" if case.http else ""}
	{splice if self.splice else ""}
listen bench
	bind {PROXY_ADDRESS}:{port}
	server origin {case.origin_address}:{origin_port}
""")
        return [self.binary, "-db", "-q", "-f", f"{folder}/haproxy.cfg"]


class HaproxyBehindRedirect(Haproxy):
    """It does not ask where a connection wanted to go: what comes goes to its backend."""
    address = SERVICE_ADDRESS

    def __init__(self):
        super().__init__(splice=False)

    def command(self, folder, case, workers, port, origin_port):
        redirect(case.rules, port, pwd.getpwnam("nobody").pw_uid)
        argv = super().command(folder, case, workers, port, origin_port)
        with open(f"{folder}/haproxy.cfg") as f:
            text = f.read()
        write(folder, "haproxy.cfg", text.replace("global\n", "global\n\tuser nobody\n", 1).replace(f"bind {PROXY_ADDRESS}:", "bind :"))
        return argv


def redirect(rules, port, uid):
    """The rules that meshd has, for one that sets none itself."""
    lines = ["*nat", ":CATCH - [0:0]", "-A OUTPUT -p tcp -j CATCH", f"-A CATCH -m owner --uid-owner {uid} -j RETURN",
             "-A CATCH -d 127.0.0.1/32 -j RETURN"]
    lines += [f"-A CATCH -d {r} -j RETURN" for r in ranges(rules)] + [f"-A CATCH -p tcp -j REDIRECT --to-ports {port}", "COMMIT", ""]
    subprocess.run(["iptables-restore", "--noflush"], input="\n".join(lines), text=True, check=True)


# --- nginx ---

class Nginx:
    def __init__(self, logs=False):
        self.name, self.logs = "nginx-log" if logs else "nginx", logs
        self.binary = os.environ.get("NGINX") or shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

    def version(self):
        return output_of(self.binary, "-v").strip()

    def module(self):
        """The line that loads the stream module, where it is not part of the binary."""
        built = output_of(self.binary, "-V")
        folder = re.search(r"--modules-path=(\S+)", built)
        return f"load_module {folder[1]}/ngx_stream_module.so;" if "--with-stream=dynamic" in built and folder else ""

    def command(self, folder, case, workers, port, origin_port):
        origin = f"{case.origin_address}:{origin_port}"
        write(folder, "nginx.conf", f"""{"" if case.http else self.module()}
daemon off;
user root;
worker_processes {workers};
worker_rlimit_nofile {2 * MOST_CONNECTIONS};
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {MOST_CONNECTIONS}; multi_accept on; accept_mutex off; }}
{self.http(folder, case, port, origin) if case.http else self.stream(case, port, origin)}""")
        return [self.binary, "-p", folder, "-e", "stderr", "-c", f"{folder}/nginx.conf"]

    def stream(self, case, port, origin):
        return f"""stream {{
	access_log off;
	proxy_buffer_size {"1m" if case.bulk else "4k"};
	server {{ listen {PROXY_ADDRESS}:{port} reuseport; proxy_pass {origin}; }}
}}
"""

    def http(self, folder, case, port, origin):
        size = "1m" if case.bulk else "128k"
        bodies = (f"proxy_request_buffering off; client_body_buffer_size {size}; proxy_buffering off; proxy_buffer_size {size}; "
                  f"proxy_buffers 8 {size};" if case.bodies else "")        # (the last one is unused, but must be more)
        temp = "\n".join(f"\t{of}_temp_path {folder};" for of in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""http {{
	access_log {f"{folder}/access.log combined buffer=64k flush=1s" if self.logs else "off"};
	keepalive_timeout 1h;
	keepalive_requests 1000000000;
	client_max_body_size 0;
	{bodies}
{temp}
	upstream origin {{ server {origin}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 1h; }}
	server {{
		listen {PROXY_ADDRESS}:{port} reuseport;
		location / {{
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
		}}
	}}
}}
"""


# --- meshd ---

class Meshd:
    def __init__(self, build, name="meshd", logs=False):
        self.binary, self.name, self.logs = f"{build}/meshd", name, logs

    def version(self):
        return output_of(self.binary, "-V").strip()

    def command(self, folder, case, workers, port, origin_port):
        os.mkdir(f"{folder}/run")
        # users of any Debian: a measurement creates none
        write(folder, "meshd.conf", f"""node = {{ id = "bench"; }};
workers = {workers};
user = "nobody"; agent_user = "daemon"; admin_group = "nogroup";
runtime_dir = "{folder}/run";
drain_time = "0s";
{f'access_log = "{folder}/access.log";' if self.logs else ""}
{self.ways(case, port, f"{case.origin_address}:{origin_port}")}
""")
        return [self.binary, "-c", f"{folder}/meshd.conf"]

    def ways(self, case, port, origin):
        return f"""listeners = ( {{ name = "bench"; address = "{PROXY_ADDRESS}"; port = {port};
	filter_chains = ( {{ filters = ( {{ type = "{"http" if case.http else "tcp_proxy"}"; cluster = "origin"; }} ); }} ); }} );
clusters = ( {{ name = "origin"; endpoints = ( "{origin}" ); }} );"""


class MeshdIntercepting(Meshd):
    address = SERVICE_ADDRESS

    def ways(self, case, port, origin):
        excluded = ", ".join(f'"{r}"' for r in ranges(case.rules))
        return f"""intercept = {{ exclude_outbound_ranges = [ {excluded} ]; }};
services = ( {{ name = "bench"; port = {port}; protocol = "tcp"; addresses = [ "{SERVICE_ADDRESS}" ];
	endpoints = [ "{origin}" ]; }} );"""


def contestants_of(case, build):
    """Direct, which is no proxy, and meshd are among all of them."""
    if case.rules is not None:
        return [Direct(), MeshdIntercepting(build), Meshd(build, "meshd-bound"), HaproxyBehindRedirect()]
    if case.logs:
        return [Direct(), Meshd(build), Meshd(build, "meshd-log", logs=True), Nginx(), Nginx(logs=True)]
    splice = [] if case.http and not case.bodies else [Haproxy(splice=True)]
    return [Direct(), Meshd(build), Haproxy(splice=False), *splice, Nginx()]
