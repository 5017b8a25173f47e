# SPDX-License-Identifier: Apache-2.0
"""cases - the programs that programs_test.py runs, and the files they read.

A line is a command; what stands before " :: " is how the page tells of it, else
it is the program's (or applet's) name; " < FILE" is its standard input, else
"text" is.  {tmp} is an empty folder.
"""
import collections
import gzip
import json
import pathlib
import random
import shlex
import shutil
import subprocess

# The rows that the page has had; it may only grow.
ROWS_AT_LEAST = 28

BUSYBOX = """
ar -t old.ar
awk '{ n += $1 } END { print n, NR }' numbers
base64 bytes
basename a/b/text.txt .txt
bc sums
bunzip2 -c text.bz2
bzcat text.bz2
bzip2 -c text
cal 2 2024
cat text bytes
cmp text text2
cpio -t < files.cpio
crc32 text bytes
cut -d, -f2 table.csv
date -u -d @86400
dc -e '2 3 ^ p'
dd if=bytes bs=1000 count=3 skip=2
diff text text2
dirname a/b/c
dos2unix < dos
du -b tree/a
echo -e 'a\\tb'
egrep 'fox|dog' text
env
expand text
expr 6 '*' 7
factor 1234567890 97
false
fgrep -c fox text
find tree -type f -name '*.txt'
fold -w 20 text
grep -n fox text
gunzip -c text.gz
gzip -9 -c -n text
head -n 3 text
hexdump -C bytes
lzcat text.lzma
ls tree
md5sum text bytes
nl text
od -A d -t x1 bytes
paste -d: words numbers
printf '%05d %s\\n' 42 x
pwd
readlink tree/link
realpath tree/../text
rev text
sed 's/fox/cat/g' text
seq 1 3 20
sh -c 'i=0; while [ $i -lt 5 ]; do i=$((i+1)); echo $i; done; exit 3'
sha1sum text
sha256sum bytes
sha3sum bytes
sha512sum bytes
sort -k2 words2
stat -c '%n %s %F' text
strings bytes
sum text
tac text
tail -n 2 text
tar -t -f files.tar
tee < text
test 3 -gt 4
tr a-z A-Z < text
true
sort -n -r numbers
unexpand -a text
uniq words
unlzma -c text.lzma
unxz -c text.xz
uudecode -o - coded
uuencode text < text
wc text bytes
xxd bytes
xzcat text.xz
"""

COREUTILS = """
b2sum text bytes
base32 bytes
basenc --base16 bytes
cat -A text
cksum text
comm words words2
split --help
cut -c1-5 text
date -u -d 2024-02-29 +%A
dd if=bytes bs=512 count=9 status=none
expand -t 3 text
factor 12345678901234567
fmt -w 30 text
fold -s -w 20 text
head -c 100 bytes
join table1 table2
ls -1 tree
ls -F --quoting-style=c tree
md5sum text bytes
mktemp -u -p /nowhere -t fixed
nl -ba text
nproc --help
numfmt --to=iec 123456789
od -An -tx4 bytes
paste -s -d, words
pr -t -2 text
printf '%s|%d\\n' a 1 b 2
ptx text
readlink -f tree/link
seq -w 1 3 100
sha1sum text
sha224sum text
sha256sum bytes
sha384sum bytes
sha512sum big
shuf --random-source=bytes words
sort big
sort -g -u numbers
sort --parallel=4 -S 1M big
stat -c '%n %s' text
sum -s text
tac text
tail -c 20 text
test -d tree
tr -d aeiou < text
truncate -s 0 nothing/there
tsort pairs
unexpand -a text
uniq -c words
wc -lwc text bytes
cp nothing there
cat nothing
rm nothing
ls nothing
"""

OTHERS = {
    ("sed", "sed"): """
    s, y, d, p :: sed -n -e 's/\\(fox\\)/<\\1>/p' -e '2d' -e 'y/abc/xyz/' text
    -E -z :: sed -E -z 's/\\n+/,/g' text
    errors :: sed 's/x/' text
    """,
    ("grep", "grep"): """
    -c, -o, -v, -r :: grep -rc fox tree
    -o :: grep -on '[a-z]*o[a-z]*' text
    -P :: grep -P '\\bf(?=ox)' text
    none found :: grep walrus text
    """,
    ("mawk", "mawk"): """
    sums :: mawk '{ s += $1 * NR } END { printf "%.3f\\n", s }' numbers
    arrays :: mawk -F, '{ n[$2]++ } END { print n["x"], length(n) }' table.csv
    """,
    ("diff", "diffutils"): """
    -u :: diff -u --label a --label b text text2
    -r :: diff -rq tree tree
    cmp :: cmp text text2
    -y :: diff -y -W 60 text text2
    """,
    ("find", "findutils"): """
    -name, -size :: find tree -name '*.txt' -size -10k
    -printf :: find tree -maxdepth 1 -type l -printf '%f %l\\n'
    """,
    ("tar", "tar"): """
    -c :: tar -c --numeric-owner --owner=0 --group=0 tree/a
    -t :: tar -tvf files.tar
    -x -O :: tar -x -O -f files.tar
    """,
    ("gzip", "gzip"): """
    -c :: gzip -c -n big
    -d :: gzip -dc text.gz
    bad data :: gzip -dc text
    """,
    ("bzip2", "bzip2"): """
    -c :: bzip2 -c big
    -d :: bzip2 -dc text.bz2
    """,
    ("xz", "xz-utils"): """
    -c :: xz -c big
    -T2 :: xz -T2 --block-size=1MiB -c big
    -d :: xz -dc text.xz
    lzma :: xz --format=lzma -dc text.lzma
    """,
    ("sqlite3", "sqlite3"): """
    memory :: sqlite3 :memory: < queries.sql
    a file :: sqlite3 {tmp}/a.db < queries.sql
    read only :: sqlite3 -readonly base.db 'select count(*), sum(a) from t'
    """,
    ("lua5.4", "lua5.4"): """
    strings :: lua5.4 -e 'print(("x"):rep(3), string.format("%q", "a\\nb"))'
    a file :: lua5.4 queens.lua 8
    an error :: lua5.4 -e 'error({})'
    coroutines :: lua5.4 -e 'for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do print(i) end'
    """,
    ("jq", "jq"): """
    filters :: jq -c '.items | map(.n) | add' data.json
    sort :: jq -S . data.json
    an error :: jq . text
    """,
    ("perl", "perl-base"): """
    text :: perl -ne 'print lc if /fox/i' text
    hashes :: perl -e 'my %h; $h{$_ % 7}++ for 1..1000; print "$_ $h{$_}\\n" for sort keys %h'
    die :: perl -e 'die "so\\n"'
    sort :: perl -e 'print sort { $b <=> $a } <>' numbers
    alarm :: perl -e '$SIG{ALRM} = sub { print "rang\\n"; exit 4 }; alarm 1; sleep 5'
    """,
    ("bc", "bc"): """
    pi :: bc -l pi
    sums :: bc sums
    """,
    ("python3.11", "python3.11-minimal"): """
    json :: python3.11 -c 'import json; print(json.dumps(json.load(open("data.json")), indent=1))'
    re :: python3.11 -c 'import re; print(re.findall(r"(\\w+) (\\w+)", open("text").read()))'
    asyncio :: python3.11 async.py
    threading :: python3.11 threads.py
    zlib :: python3.11 -c 'import zlib; print(zlib.crc32(zlib.compress(open("big", "rb").read())))'
    sqlite3 :: python3.11 -c 'import sqlite3; c = sqlite3.connect("{tmp}/x.db"); c.execute("create table t(a)"); c.executemany("insert into t values(?)", [(i,) for i in range(999)]); c.commit(); print(c.execute("select sum(a) from t").fetchall())'
    ctypes :: python3.11 -c 'import ctypes; c = ctypes.CDLL("libc.so.6"); print(c.abs(-5)); F = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int); print(F(lambda x: x + 1)(41))'
    ssl :: python3.11 -c 'import ssl; print(ssl.OPENSSL_VERSION, ssl.create_default_context().verify_mode)'
    hashlib :: python3.11 -c 'import hashlib; print(hashlib.sha3_256(open("big", "rb").read()).hexdigest())'
    decimal :: python3.11 -c 'from decimal import *; getcontext().prec = 60; print(Decimal(2).sqrt())'
    tempfile :: python3.11 files.py
    signals :: python3.11 -c 'import signal; signal.signal(signal.SIGALRM, lambda *a: print("rang")); signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause()'
    tracebacks :: python3.11 -c '1 / 0'
    exit codes :: python3.11 -c 'import sys; sys.exit(42)'
    killed :: python3.11 -c 'import os; os.kill(os.getpid(), 9)'
    pickle :: python3.11 -c 'import pickle, datetime; print(pickle.loads(pickle.dumps(datetime.date(2024, 2, 29))))'
    """,
    ("numpy", "python3-numpy"): """
    arithmetic :: /usr/bin/python3 -c 'import numpy; a = numpy.arange(1e6); print(a.sum(), (a * a).mean())'
    linear algebra :: /usr/bin/python3 -c 'import numpy; a = numpy.arange(9.).reshape(3, 3) + numpy.eye(3); print(numpy.linalg.inv(a).round(9))'
    """,
    ("ripgrep (Rust)", "ripgrep"): """
    -n :: rg -n fox text
    threads :: rg --sort path -c fox tree
    none found :: rg walrus text
    """,
    ("fd (Rust)", "fd-find"): """
    names :: fdfind -j 1 txt tree
    """,
    ("age (Go)", "age"): """
    decrypts :: age -d -i key.txt secret.age
    a wrong key :: age -d -i wrong.txt secret.age
    """,
}

OURS = """
static C :: hello-static a b
static PIE :: hello-static-pie a b
fixed address :: hello-fixed a b
dynamic PIE :: hello a b
threads :: threads
static threads :: threads-static
"""

# What is refused, and the words in which it is.
LACKS = [
    ("other programs", "dash", "sh -c 'ls | cat'", "processes"),
    ("programs that a program starts, and then ends well", "mawk",
     """mawk 'BEGIN { while (("ls" | getline name) > 0) print name }'""",
     "processes"),
    ("programs that fork, like busybox's zcat", "busybox-static",
     "busybox zcat text.gz", "processes"),
    ("processes from Python", "python3.11-minimal",
     "python3.11 -c 'import subprocess; subprocess.run([\"true\"])'",
     "processes"),
    ("multiprocessing", "python3.11-minimal",
     "python3.11 -c 'import multiprocessing as m; "
     "m.Process(target=print).start()'", "processes"),
    ("exec", "coreutils", "env true", "another program"),
    ("the network", "python3.11-minimal",
     "python3.11 -c 'import socket; socket.socket()'", "the network"),
]


class Case(collections.namedtuple(
        "Case", "row package words told stdin said ours")):
    def line(self):
        return shlex.join(self.words)


def parse(line, row, package, before=(), said="", ours=False):
    told, _, command = line.rpartition(" :: ")
    words, stdin = shlex.split(command), "text"
    if "<" in words:
        stdin = words[-1]
        words = words[:-2]
    return Case(row, package, [*before, *words], told or words[0], stdin, said,
                ours)


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


ALL = [parse(line, "busybox", "busybox-static", ["busybox"])
       for line in lines(BUSYBOX)]
ALL += [parse(line, "GNU coreutils", "coreutils") for line in lines(COREUTILS)]
ALL += [parse(line, row, package) for (row, package), text in OTHERS.items()
        for line in lines(text)]
ALL += [parse(line, "C, linked in each way", "of our own", ours=True)
        for line in lines(OURS)]
ALL += [parse(line, row, package, said=said)
        for row, package, line, said in LACKS]

SCRIPTS = {
    "async.py": """
import asyncio
async def one(n):
    await asyncio.sleep(0.01 * n)
    return n * n
async def main():
    queue = asyncio.Queue()
    for n in range(3):
        await queue.put(n)
    print(await asyncio.gather(*[one(n) for n in range(10)]), queue.qsize())
    print(await asyncio.to_thread(sum, [1, 2, 3]))
    try:
        await asyncio.wait_for(asyncio.sleep(9), 0.05)
    except TimeoutError:
        print("late")
asyncio.run(main())
""",
    "threads.py": """
import queue, threading
from concurrent.futures import ThreadPoolExecutor
q, out = queue.Queue(), []
def work():
    while (item := q.get()) is not None:
        out.append(item * 2)
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
[q.put(i) for i in range(1000)]
[q.put(None) for _ in threads]
[t.join() for t in threads]
print(sum(out), len(out))
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(abs, [-1, 2, -3])))
""",
    "files.py": """
import os, pathlib, shutil, tempfile
with tempfile.TemporaryDirectory() as name:
    top = pathlib.Path(name)
    (top / "a").mkdir()
    (top / "a" / "f").write_text("x" * 100000)
    os.symlink("a/f", top / "link")
    os.link(top / "a" / "f", top / "hard")
    shutil.copytree(top / "a", top / "b")
    os.rename(top / "b", top / "c")
    print(sorted(str(p.relative_to(top)) for p in top.rglob("*")))
    print((top / "link").read_text()[:3], os.stat(top / "hard").st_nlink)
    os.truncate(top / "hard", 5)
    print((top / "a" / "f").stat().st_size)
print(os.path.exists(name))
""",
    "queens.lua": """
local n, found = tonumber(arg[1]), 0
local function place(row, columns, up, down)
  if row > n then found = found + 1 return end
  for c = 1, n do
    if not (columns[c] or up[row + c] or down[row - c]) then
      columns[c], up[row + c], down[row - c] = true, true, true
      place(row + 1, columns, up, down)
      columns[c], up[row + c], down[row - c] = nil, nil, nil
    end
  end
end
place(1, {}, {}, {})
print(found)
""",
    "queries.sql": """
create table t(a integer primary key, b text);
insert into t(b) select 'row ' || value from (with recursive c(value) as
  (select 1 union all select value + 1 from c where value < 2000)
  select value from c);
create index i on t(b);
select count(*), sum(a), max(b) from t where b like '%9';
begin; delete from t where a % 2; rollback;
select avg(a) from t;
select * from nowhere;
""",
    "sums": "2^100\nscale=20; 1/7\n(3+4)*5\n",
    "pi": "scale=60\n4*a(1)\nquit\n",
}


def fill(folder, programs, env):
    """The files that the cases read; the same each time, but for keys."""
    chance = random.Random(5)
    words = "the quick brown fox jumps over a lazy dog".split()
    text = "\n".join(" ".join(chance.choices(words, k=8)) for _ in range(40))
    text = "The fox\tand the dog\n" + text + "\n"
    numbers = "\n".join(str(chance.randint(-999, 999)) for _ in range(60))
    files = {
        "text": text, "text2": text.replace("lazy", "busy", 3),
        "words": "\n".join(sorted(words * 2)) + "\n",
        "words2": "\n".join(sorted(f"{w} {len(w)}" for w in words)) + "\n",
        "numbers": numbers + "\n", "dos": "a\r\nb\r\n",
        "pairs": "a b\nb c\na c\n", "table1": "1 a\n2 b\n", "empty": "",
        "table2": "1 x\n2 y\n", "table.csv": "1,x,2\n3,y,4\n5,x,6\n",
        "data.json": json.dumps({"items": [{"n": n, "s": "é" * n}
                                           for n in range(20)]}),
        "big": "".join(f"{chance.random()}\n" for _ in range(150_000)),
        "coded": "begin 644 x\n#0V%T\n`\nend\n", **SCRIPTS}
    for name, content in files.items():
        (folder / name).write_text(content)
    (folder / "bytes").write_bytes(chance.randbytes(5000))
    for name in "a/one.txt", "a/two.txt", "b/three.md":
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "tree" / name).write_text(text * len(name))
    (folder / "tree" / "link").symlink_to("a/one.txt")
    (folder / "text.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    make(folder, env)
    for path in pathlib.Path(programs).iterdir():
        if path.is_file() and path.stat().st_mode & 0o111:
            shutil.copy(path, folder)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent == folder and
                       path.stat().st_mode & 0o111 else 0o644)


def make(folder, env):
    """What other programs make; where one is missing, its cases are, too."""
    for command in (
            "bzip2 -k text", "xz -k text", "xz -k --format=lzma text",
            "tar --mtime=@0 --numeric-owner -cf files.tar tree/a text",
            "ar -rcD old.ar text words",
            "busybox cpio -o -H newc -F files.cpio < names",
            "sqlite3 base.db < queries.sql",
            "age-keygen -o key.txt", "age-keygen -o wrong.txt",
            "age -e -i key.txt -o secret.age text"):
        words, _, stdin = command.partition(" < ")
        (folder / "names").write_text("text\nwords\n")
        try:
            with open(folder / (stdin or "empty"), "rb") as file:
                subprocess.run(words.split(), cwd=folder, env=env, stdin=file,
                               capture_output=True)
        except FileNotFoundError:
            pass
