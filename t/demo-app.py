#!/usr/bin/python3
"""What t/demo's host offers beside nginx, and what talks to it; neither knows of meshd.

    demo-app.py serve UPLOADS CHAT      at 127.0.0.1: a server that takes uploads, one that echoes WebSocket messages
    demo-app.py chat URI WORDS...       sends each of the words, prints what comes back
"""
import asyncio
import hashlib
import http.server
import sys
import threading

import websockets

PIECE_BYTES = 1 << 20


class Uploads(http.server.BaseHTTPRequestHandler):
    """Answers a PUT with the SHA-256 of its body; one to /full is refused before it is sent."""
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left > 0:
            piece = self.rfile.read(min(left, PIECE_BYTES))
            if not piece:
                return
            digest.update(piece)
            left -= len(piece)
        self.answer(200, digest.hexdigest())

    def handle_expect_100(self):
        if self.path != "/full":
            return super().handle_expect_100()
        self.close_connection = True
        self.answer(413, "no room")
        return False

    def answer(self, status, words):
        self.send_response(status)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words.encode())


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def serve(uploads, chat):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", uploads), Uploads)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    async with websockets.serve(echo, "127.0.0.1", chat):
        await asyncio.Future()


async def talk(uri, words):
    async with websockets.connect(uri, open_timeout=10, close_timeout=10) as websocket:
        for word in words:
            await websocket.send(word)
            print(await asyncio.wait_for(websocket.recv(), 10))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(*map(int, sys.argv[2:4])))
    else:
        asyncio.run(talk(sys.argv[2], sys.argv[3:]))
