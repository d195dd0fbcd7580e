#!/bin/sh
# The codec against h11, another reader of HTTP/1.1: t/unit/worker/http1_h11.py.  Run in the build folder; silent if all is well.
exec /usr/bin/python3 -B "${srcdir:-.}"/t/unit/worker/http1_h11.py ./http1-show
