"""The clients, what each needs, and how it is made ready. Libraries are installed below build/clients, in the versions
that the manifest beside the program names, by the language's own package manager as this machine has configured it; what Debian
carries is used where it lies. go-modules, go-cache and maven there survive a change of a program."""
import hashlib
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
# The first download of a library and of what fetches it, in seconds.
PATIENCE = 420


class LeftOut(Exception):
    """Why a client is not tried on this machine."""


def needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise LeftOut(f"{program} is not on this machine")


def call(command, why, directory=None, **environment):
    """Runs a step of the preparation; the end of its output is the reason when it fails."""
    try:
        result = subprocess.run(command, cwd=directory, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise LeftOut(f"{why}: no answer within {PATIENCE} s")
    output = result.stdout.decode(errors="replace").strip()
    if result.returncode != 0:
        raise LeftOut(f"{why}: {' '.join(output.split())[-300:]}")
    return output


def once(directory, sources, install):
    """Calls install() unless it went well before with the same sources."""
    digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()
    stamp = directory / "made-from"
    if stamp.exists() and stamp.read_text() == digest:
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    install()
    stamp.write_text(digest)


# ---- one function a client: makes it ready below `build` and returns the command without its arguments ----


def redis_py_of_debian(build):
    call([PYTHON, "-c", "import redis.cluster"], "Debian's python3-redis is not installed")
    return [PYTHON, HERE / "python/workload.py"]


def redis_py(build):
    directory, manifest = build / "python", HERE / "python/requirements.txt"
    needs("pip3")
    once(directory, [manifest], lambda: call(
        ["pip3", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", directory / "packages",
         "--requirement", manifest], "pip could not install it"))
    return ["env", f"PYTHONPATH={directory / 'packages'}", PYTHON, HERE / "python/workload.py"]


def node(program):
    def prepare(build):
        needs("node", "npm")
        directory, manifest = build / "node", HERE / "node/package.json"

        def install():
            shutil.copy(manifest, directory)
            call(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
                 "npm could not install it", directory)

        once(directory, [manifest], install)
        return ["env", f"NODE_PATH={directory / 'node_modules'}", "node", HERE / "node" / program]
    return prepare


def go_redis(build):
    needs("go")
    directory, source = build / "go", HERE / "go"
    once(directory, sorted(source.iterdir()), lambda: call(
        ["go", "build", "-o", directory / "workload", "."], "go could not build it", source, GO111MODULE="on",
        GOTOOLCHAIN="local", GOFLAGS="-modcacherw -buildvcs=false", GOMODCACHE=str(build / "go-modules"),
        GOCACHE=str(build / "go-cache")))
    return [directory / "workload"]


def redisc(build):
    needs("go")
    directory, source = build / "redisc", HERE / "redisc"
    gopath = pathlib.Path("/usr/share/gocode")
    if not (gopath / "src/github.com/mna/redisc").is_dir():
        raise LeftOut("Debian's golang-github-mna-redisc-dev is not installed")
    once(directory, sorted(source.iterdir()), lambda: call(
        ["go", "build", "-o", directory / "workload", "."], "go could not build it", source, GO111MODULE="off",
        GOFLAGS="-buildvcs=false", GOPATH=str(gopath), GOCACHE=str(build / "go-cache")))
    # The library does not say its version; Debian does.
    version = call(["dpkg-query", "-W", "-f", "${Version}", "golang-github-mna-redisc-dev"], "dpkg-query").split("-")[0]
    return ["env", f"VERSION={version}", directory / "workload"]


def jedis(build):
    needs("java", "javac", "mvn")
    directory, source = build / "java", HERE / "java"

    def install():
        call(["mvn", "-B", "-q", "-f", source / "pom.xml", f"-Dmaven.repo.local={build / 'maven'}",
              "dependency:copy-dependencies", f"-DoutputDirectory={directory / 'jars'}"], "maven could not install it")
        call(["javac", "-d", directory / "classes", "-cp", f"{directory / 'jars'}/*", source / "Workload.java"],
             "javac could not compile it")

    once(directory, [source / "pom.xml", source / "Workload.java"], install)
    version = next((directory / "jars").glob("jedis-*.jar")).stem.partition("-")[2]
    return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Dversion={version}", "-cp",
            f"{directory / 'jars'}/*:{directory / 'classes'}", "Workload"]


def redis_rb(build):
    needs("ruby")
    call(["ruby", "-e", 'require "redis"'], "the redis gem (Debian's ruby-redis) is not installed")
    return ["ruby", HERE / "ruby/workload.rb"]


def predis(build):
    needs("php")
    call(["php", "-r", "require 'Predis/autoload.php';"], "Predis (Debian's php-predis) is not installed")
    return ["php", HERE / "php/workload.php"]


def hiredis(build):
    needs("gcc")
    directory, source = build / "c", HERE / "c/workload.c"
    once(directory, [source], lambda: call(
        ["gcc", "-std=gnu17", "-O1", "-o", directory / "workload", source, "-lhiredis"],
        "gcc could not build it (is Debian's libhiredis-dev installed?)"))
    return [directory / "workload"]


# name: (language, how it is prepared, how many lanes it can run)
CLIENTS = {
    "redis-py": ("Python", redis_py, 4),
    "redis-py-debian": ("Python", redis_py_of_debian, 4),
    "ioredis": ("JavaScript", node("ioredis.js"), 4),
    "node-redis": ("JavaScript", node("node-redis.js"), 4),
    "thunk-redis": ("JavaScript", node("thunk-redis.js"), 4),
    "jedis": ("Java", jedis, 4),
    "go-redis": ("Go", go_redis, 4),
    "redigo-redisc": ("Go", redisc, 4),
    "redis-rb": ("Ruby", redis_rb, 4),
    "predis": ("PHP", predis, 1),
    "hiredis": ("C", hiredis, 1),
}

# Errors that a library makes by itself during a handover. For a moment the old primary serves no slots and nobody has
# heard yet whose replica it is, so that it is missing from CLUSTER SLOTS (some milliseconds here, half a second in a
# cluster of redis-server nodes): node-redis drops its connection then, with the commands that wait there.
OWN_ERRORS = {"node-redis": "Error: Disconnects client"}
