"""`make bench`: every benchmark in turn, each against its bare baseline in the same run."""

import subprocess
import sys

BENCHES = ("bench_api", "bench_runs", "bench_load")

if __name__ == "__main__":
    for bench in BENCHES:
        print(f"== {bench}", flush=True)
        subprocess.run([sys.executable, "-m", f"tests.bench.{bench}", *sys.argv[1:]], check=True)
