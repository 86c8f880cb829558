#!/usr/bin/env bash
# What only a GPU can show: the tests that need it, the benchmarks, the
# reference sweep, and a recovery of 5,000 rows of the paper's tiny model.
#
#   bash benchmarks/gpu.sh FOLDER [tests] [times] [reference] [recovery]     all four unless named
set -uo pipefail
out=${1:?usage: bash benchmarks/gpu.sh FOLDER [tests] [times] [reference] [recovery]}
shift
mkdir -p "$out"
nvidia-smi --query-gpu=name --format=csv,noheader | tee "$out/card.txt"

tests() { python -m pytest -q tests/test_cuda.py; }
times() { python -m benchmarks --save --device cuda; }
# All twelve at a time: while one waits for its next launch, or for a measurement, others compute. Each
# compiles on one thread, or they would be in each other's way. Seven minutes, measurements apart.
reference() {
  TORCHINDUCTOR_COMPILE_THREADS=1 python -m attractor sweep --preset reference --train.compile \
    --out "$out/reference" --workers 12
}
recovery() { python -m benchmarks.cases recovery tiny cuda 0.5 5000; }

for part in "${@:-tests times reference recovery}"; do
  for one in $part; do
    start=$SECONDS
    "$one" 2>&1 | tee "$out/$one.log"
    echo "$one: exit $?, $((SECONDS - start)) s" | tee -a "$out/summary.txt"
  done
done
