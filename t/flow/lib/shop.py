"""Programs that call each other over HTTP, each on a host with a sidecar: a page, details, reviews and ratings."""
import http.client
import http.server
import json
import socket
import sys

PORT = 9080
CALLS = {"page": ["details", "reviews"], "details": [], "reviews": ["ratings"], "ratings": []}
NUMBER = {name: 70 + i for i, name in enumerate(CALLS)}


def get(ip):
    c = http.client.HTTPConnection(ip, PORT, timeout=10)
    c.request("GET", "/")
    answer = c.getresponse()
    assert answer.status == 200
    body = json.loads(answer.read())
    c.close()
    return body


def serve(name, ip, *addresses):
    """The program: answers with its name, who asked, and what those that it calls have answered."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = json.dumps({"name": name, "client": self.client_address[0], "calls": [get(a) for a in addresses]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        request_queue_size = 128

    print("serving", flush=True)
    Server((ip, PORT), Handler).serve_forever()


class Shop:
    CALLS = CALLS

    def __init__(self, net, start, version, intercept, beside=None):
        from .hosts import wait_for
        from .mesh import VIP, bracket
        loopback = {4: "127.0.0.1", 6: "::1"}[version]
        beside = beside or loopback
        self.host = {name: net.host(name) for name in CALLS}
        vip = {name: VIP[version].format(NUMBER[name]) for name in CALLS}
        self.mesh = {}
        for name, host in self.host.items():
            p = host.start("/usr/bin/python3", __file__, name, beside, *(vip[other] for other in CALLS[name]), name=name)
            wait_for(f"{name} serves", lambda: "serving" in p.output())
            services = ", ".join(f'{{ name = "{other}"; port = {PORT}; protocol = "tcp"; addresses = [ "{vip[other]}" ]; '
                                 f'endpoints = [ "{bracket(self.host[other].ip[version], PORT)}" ]; }}' for other in CALLS[name])
            self.mesh[name] = start(host, f'inbound = ( {{ port = {PORT}; protocol = "tcp"; endpoint = "{bracket(beside, PORT)}"; }} );\n'
                                    f"services = ( {services} );\n", intercept=intercept)

    @staticmethod
    def ask(host, ip):
        """The page as curl gets it."""
        return json.loads(host.must("curl", "-fsS", "--max-time", "10", f"http://{f'[{ip}]' if ':' in ip else ip}:{PORT}/"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


if __name__ == "__main__":
    serve(*sys.argv[1:])
