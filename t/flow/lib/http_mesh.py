"""Configurations for HTTP: one gate on a host, between clients and an origin on the same host."""
from .hosts import sh

GATE, ORIGIN = ("127.0.0.1", 8000), ("127.0.0.1", 9000)


def gate(http="", cluster="", listener="", to=ORIGIN):
    """A bound listener whose only filter is HTTP, and its cluster; each may be given more keys."""
    return ('listeners = ( { name = "gate"; address = "%s"; port = %d; %s filter_chains = ( { filters = (\n'
            '  { type = "http"; stat_prefix = "gate"; cluster = "b"; %s } ); } ); } );\n'
            'clusters = ( { name = "b"; endpoints = [ "%s:%d" ]; %s } );\n' % (*GATE, listener, http, *to, cluster))


def many_ports(host):
    """Room for tens of thousands of short connections within a minute."""
    sh(f"ip netns exec {host.ns} sysctl -qw net.ipv4.ip_local_port_range='10000 65535'")
