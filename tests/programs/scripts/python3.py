"""Work for python3: imports, threads, processes, sqlite3, parsing; prints a result that never varies."""

import array, ast, asyncio, base64, bisect, bz2, collections, concurrent.futures, configparser, csv, ctypes, dataclasses
import datetime, decimal, difflib, email.message, email.parser, enum, fractions, functools, gzip, hashlib, heapq, html.parser
import http.client, http.server, inspect, io, ipaddress, itertools, json, logging, lzma, multiprocessing, operator, os, pathlib
import pickle, platform, pprint, queue, random, re, shutil, socket, socketserver, sqlite3, ssl, statistics, string, struct
import subprocess, sys, tempfile, textwrap, threading, tokenize, traceback, typing, unittest, urllib.parse, urllib.request
import uuid, weakref, xml.dom.minidom, xml.etree.ElementTree, xmlrpc.client, zipfile, zlib


def digest(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def words(seed, count):
    source = random.Random(seed)
    return ["".join(source.choices(string.ascii_lowercase, k=source.randint(1, 40))) for _ in range(count)]


def churn(seed):
    """Objects of all sizes that live for different times."""
    source = random.Random(seed)
    kept, total = {}, 0
    for step in range(60000):
        kept[source.randrange(4000)] = bytes(source.randrange(1, 3000)) if step % 3 else [step] * source.randrange(1, 50)
        if step % 7 == 0:
            total += len(kept.pop(source.randrange(4000), b""))
    return total + sum(len(v) for v in kept.values())


def formats():
    record = [{"id": i, "word": w, "parts": list(w[:5]), "half": i / 2} for i, w in enumerate(words(1, 12000))]
    text = json.dumps(record)
    assert json.loads(text) == record
    assert pickle.loads(pickle.dumps(record, 5)) == record
    packed = [m.compress(text.encode()) for m in (zlib, bz2, gzip)] + [lzma.compress(text.encode(), preset=1)]
    assert [m.decompress(p) for m, p in zip((zlib, bz2, gzip, lzma), packed)] == [text.encode()] * 4
    tree = xml.etree.ElementTree.Element("r")
    for item in record[:5000]:
        xml.etree.ElementTree.SubElement(tree, "i", name=item["word"]).text = str(item["id"])
    again = xml.etree.ElementTree.fromstring(xml.etree.ElementTree.tostring(tree))
    dom = xml.dom.minidom.parseString(xml.etree.ElementTree.tostring(tree)[:-4] + b"</r>")
    message = email.message.EmailMessage()
    message["Subject"] = "hakmem"
    message.set_content("line\n" * 5000)
    message.add_attachment(text.encode()[:200000], maintype="application", subtype="json", filename="a.json")
    parsed = email.parser.BytesParser().parsebytes(message.as_bytes())
    return digest([hashlib.md5(text.encode()).hexdigest(), len(again), len(dom.documentElement.childNodes),
                   [len(part.get_payload()) for part in parsed.walk() if not part.is_multipart()]])


def numbers():
    decimal.getcontext().prec = 400
    root = decimal.Decimal(2).sqrt()
    series = sum(fractions.Fraction(1, k) for k in range(1, 700))
    return digest([root, series, 3 ** 20000 % 10 ** 50, statistics.stdev(range(5000))])


def threads():
    """Blocks made in one thread and freed in another."""
    channel, results = queue.Queue(64), []

    def produce(seed):
        for batch in range(150):
            channel.put([w * 3 for w in words(seed * 1000 + batch, 60)])
        channel.put(None)

    def consume():
        total = 0
        while (batch := channel.get()) is not None:
            total += sum(map(len, batch))
        results.append(total)

    group = [threading.Thread(target=produce, args=(n,)) for n in range(4)] + [threading.Thread(target=consume) for _ in range(4)]
    for thread in group:
        thread.start()
    for thread in group:
        thread.join()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        hashes = list(pool.map(lambda n: hashlib.sha1(bytes(n * 100)).hexdigest(), range(2000)))
    for _ in range(300):                    # births and deaths
        thread = threading.Thread(target=lambda: words(3, 5))
        thread.start()
        thread.join()
    return digest([sum(results), hashes])


def database(path):
    with sqlite3.connect(path) as base:
        base.execute("create table t(id integer primary key, word text, size int)")
        base.executemany("insert into t(word, size) values(?, ?)", ((w, len(w)) for w in words(5, 40000)))
        base.execute("create index by_word on t(word)")
        rows = base.execute("select size, count(*), min(word), max(word) from t group by size order by size").fetchall()
        base.execute("delete from t where size % 2")
        rows += base.execute("pragma integrity_check").fetchall()
    base.execute("vacuum")
    base.close()
    return digest(rows)


def worker(seed):
    return churn(seed), digest(words(seed, 500)), os.environ.get("LD_PRELOAD", "") != ""


def processes(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        done = pool.map(worker, range(4))
    assert len({preloaded for _, _, preloaded in done}) == 1
    return digest([item[:2] for item in done])


def fork_among_threads():
    """Children forked while other threads allocate must be able to allocate."""
    stop, statuses = threading.Event(), []
    group = [threading.Thread(target=lambda: [words(n, 20) for n in iter(stop.is_set, True)]) for _ in range(4)]
    for thread in group:
        thread.start()
    for n in range(16):
        pid = os.fork()
        if pid == 0:
            os._exit(len(words(n, 200)) % 256)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stop.set()
    for thread in group:
        thread.join()
    return digest(statuses)


def commands():
    out = [subprocess.run([sys.executable, "-c", "import json, sys; print(json.dumps([i * %d for i in range(2000)]))" % n],
                          capture_output=True, text=True, check=True).stdout for n in range(3)]
    out.append(subprocess.run(["sort", "-r"], input="\n".join(words(9, 3000)), capture_output=True, text=True, check=True).stdout)
    return digest(out)


class Echo(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(hashlib.sha256(body).hexdigest().encode())

    def log_message(self, *_):
        pass


def network():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = "http://127.0.0.1:%d/" % server.server_address[1]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answers = [opener.open(url, data=bytes(n * 5000)).read() for n in range(1, 20)]
    server.shutdown()
    thread.join()
    server.server_close()
    ssl.create_default_context()

    async def ask(n):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"%d\n" % n)
        line = await reader.readline()
        writer.close()
        return int(line)

    async def answer(reader, writer):
        writer.write(b"%d\n" % (int(await reader.readline()) ** 2))
        await writer.drain()
        writer.close()

    async def meet():
        nonlocal port
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
            port = listener.sockets[0].getsockname()[1]
            return await asyncio.gather(*(ask(n) for n in range(150)))

    port = 0
    return digest([answers, asyncio.run(meet())])


def foreign_calls():
    """malloc and free by name, and a C callback."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.realloc.restype = ctypes.c_void_p
    libc.realloc.argtypes = ctypes.c_void_p, ctypes.c_size_t
    libc.free.argtypes = ctypes.c_void_p,
    block = libc.malloc(1000)
    ctypes.memset(block, 7, 1000)
    block = libc.realloc(block, 300000)
    kept = ctypes.string_at(block, 1000) == bytes([7]) * 1000
    libc.free(block)
    order = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    values = (ctypes.c_int * 3000)(*random.Random(2).sample(range(100000), 3000))
    libc.qsort(values, 3000, ctypes.sizeof(ctypes.c_int), order(lambda a, b: a[0] - b[0]))
    return digest([kept, list(values) == sorted(values)])


class Suite(unittest.TestCase):
    def test_trees(self):
        for path in sorted(pathlib.Path(json.__file__).parent.glob("*.py")):
            self.assertEqual(ast.dump(ast.parse(ast.unparse(ast.parse(path.read_text())))), ast.dump(ast.parse(path.read_text())))

    def test_difference(self):
        a, b = words(1, 300), words(1, 300)
        b[100:120] = words(2, 30)
        self.assertEqual(list(difflib.restore(difflib.ndiff(a, b), 2)), b)


def main():
    """All of it, or with the argument "threads" what has to do with threads and processes only."""
    threads_only = sys.argv[1:] == ["threads"]
    for work in (threads, fork_among_threads) if threads_only else (formats, numbers, threads, network, foreign_calls, fork_among_threads, commands):
        print(work.__name__, work())
    print("churn", churn(11))
    if threads_only:
        return
    print("database", database("words.db"))
    for method in "fork", "spawn":
        print(method, processes(method))
    outcome = unittest.TextTestRunner(stream=io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(Suite))
    print("unittest", outcome.testsRun, len(outcome.failures + outcome.errors))


if __name__ == "__main__":
    main()
