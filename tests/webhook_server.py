#!/usr/bin/python3
"""A server for tests of webhooks: webhook_server.py DIR [--port N] [--unix PATH] [--cert PEM] [--client-ca PEM]
[--secret FILE]. Writes its port to DIR/port when it listens, and each request as a JSON line to DIR/requests. What it
answers is said by the path."""
import argparse
import hashlib
import hmac
import http.server
import json
import os
import socketserver
import ssl
import threading
import time
import urllib.parse

DRIP = 0.05


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def address_string(self):
        return "client"

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def record(self, body):
        cert = self.connection.getpeercert() if hasattr(self.connection, "getpeercert") else None
        client = self.client_address
        seen = {
            "path": self.path,
            "headers": {k.lower(): v for k, v in self.headers.items()},
            "body": body.decode(),
            "connection": client[1] if isinstance(client, tuple) else 0,
            "client": dict(x[0] for x in cert["subject"])["commonName"] if cert else None,
        }
        with self.server.lock, open(os.path.join(self.server.options.dir, "requests"), "a") as f:
            f.write(json.dumps(seen) + "\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.record(body)
        url = urllib.parse.urlsplit(self.path)
        words = url.path.split("/")
        getattr(self, "on_" + words[1].replace("-", "_"))(words[2:], urllib.parse.unquote_to_bytes(url.query), body)

    # /status/CODE?BODY
    def on_status(self, words, query, body):
        self.answer(int(words[0]), query)

    # No share above a megabyte; the others get a label.
    def on_policy(self, words, query, body):
        event = json.loads(body)
        if event["func_name"] != "create_share_instance":
            self.answer(204)
        elif event["phase"] == "pre" and event["args"]["size_bytes"] > 1 << 20:
            self.answer(409, b"a megabyte is enough for everybody\n")
        elif event["phase"] == "pre":
            self.answer(200, b'{"ticket": 4711}')
        else:
            label = str(event["pre_hook_data"]["ticket"])
            results = {"driver_action_results": {"metadata": {"ticket": label}}}
            self.answer(200, json.dumps(results).encode())

    def on_signed(self, words, query, body):
        with open(self.server.options.secret, "rb") as f:
            secret = f.read().rstrip(b"\n")
        want = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        good = hmac.compare_digest(want, self.headers.get("X-Sharesd-Signature", ""))
        self.answer(200 if good else 403)

    def on_redirect(self, words, query, body):
        self.answer(302, b"", [("Location", "/status/200?%22followed%22")])

    def on_hang(self, words, query, body):
        time.sleep(3600)

    # A byte now and then, for ever, so that something moves all the time.
    def on_drip(self, words, query, body):
        self.send_response(200)
        self.end_headers()
        self.drip(b" ")

    def on_drip_headers(self, words, query, body):
        self.send_response(200)
        self.flush_headers()
        self.drip(b"X-More: x\r\n")

    def drip(self, data):
        while True:
            self.wfile.write(data)
            self.wfile.flush()
            time.sleep(DRIP)

    def on_huge(self, words, query, body):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")

    def on_huge_headers(self, words, query, body):
        self.send_response(200)
        self.flush_headers()
        while True:
            self.wfile.write(b"X-More: " + b"x" * 8192 + b"\r\n")

    # A megabyte with its headers, just within the limit.
    def on_large(self, words, query, body):
        self.answer(200, b'{"text":"' + b"x" * (1024 * 1024 - 600) + b'"}')

    def on_garbage(self, words, query, body):
        self.wfile.write(b"\xff\x00 this is no HTTP\r\n\r\n")
        self.close_connection = True

    def on_nothing(self, words, query, body):
        self.close_connection = True

    # The body breaks off.
    def on_cut(self, words, query, body):
        self.send_response(int(words[0]))
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(query)
        self.close_connection = True


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64
    lock = threading.Lock()

    def handle_error(self, request, client_address):
        pass

    # In the connection's own thread: a handshake that fails or hangs is its client's.
    def finish_request(self, request, client_address):
        if self.options.cert:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


class UnixServer(Server):
    address_family = 1

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dir")
    p.add_argument("--port", type=int, default=0)
    for name in ("unix", "cert", "client-ca", "secret"):
        p.add_argument("--" + name)
    options = p.parse_args()
    server = UnixServer(options.unix, Handler) if options.unix else Server(("127.0.0.1", options.port), Handler)
    server.options = options
    if options.cert:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(options.cert)
        if options.client_ca:
            server.context.verify_mode = ssl.CERT_REQUIRED
            server.context.load_verify_locations(options.client_ca)
    path = os.path.join(options.dir, "port")
    with open(path + ".new", "w") as f:
        f.write(str(server.server_port))
    os.rename(path + ".new", path)
    server.serve_forever()


main()
