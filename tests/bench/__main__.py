"""`make bench`: every benchmark in turn: ratios against bare baselines, and bounds of what many cost."""

import subprocess
import sys

BENCHES = (
    "bench_api",
    "bench_misuse",
    "bench_viewers",
    "bench_analytics",
    "bench_growth",
    "bench_runs",
    "bench_cost",
    "bench_load",
    "bench_waiting",
)

if __name__ == "__main__":
    for bench in BENCHES:
        print(f"== {bench}", flush=True)
        subprocess.run([sys.executable, "-m", f"tests.bench.{bench}", *sys.argv[1:]], check=True)
