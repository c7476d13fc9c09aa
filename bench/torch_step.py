"""Times PyTorch training steps on the CPU: the number that our engines are compared with.

    python bench/torch_step.py S --threads 1 --seconds 20 [--mode eager|compile|autotune|best]

Prints one JSON line: tokens/s (median and best step), the peak resident memory, versions and settings. `best`, the default,
runs each mode in a process of its own and reports the fastest, with the others beside it under "modes".

PyTorch's best settings, as far as we know them: fused attention, RMSNorm and AdamW, denormals flushed, q|k|v and gate|up as one
product each, torch.compile where it wins; arithmetic is plain float32 (matmul precision "highest"). The processes of `best`
also get, unless --plain: a malloc that keeps its memory and asks for huge pages (glibc's settings, or tcmalloc or jemalloc
where installed), and on AMD, where a C compiler is present, a one-line library that lets MKL take its fastest kernels (it
otherwise picks slower ones for processors of other makers). With several threads both ways of waiting are tried: OpenMP's
spinning is several times slower than sleeping on a busy machine. Measured on two cores of an AMD EPYC with AVX-512, config S,
one thread, compiled: plain 1940 tokens/s, huge pages 2120, the MKL library with kept memory 2310.
"""

import argparse
import glob
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

MODES = ("eager", "compile", "autotune")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", help="S or M, or a JSON object {vocabSize, dim, ..., seqLen, batch}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20, help="how long to measure")
    parser.add_argument("--steps", type=int, default=0, help="measure this many steps instead")
    parser.add_argument("--mode", choices=(*MODES, "best"), default="best")
    parser.add_argument("--plain", action="store_true", help="leave malloc and MKL as they are")
    return parser.parse_args()


def memory_mb(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return round(int(line.split()[1]) / 1024)
    return 0


def forget_peak():
    """Lets VmHWM start again, so that compiling does not count as training. False where the kernel does not allow it."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return True
    except OSError:
        return False


def allocator():
    """A better malloc, where one is installed."""
    for name in ("libtcmalloc_minimal.so*", "libtcmalloc.so*", "libjemalloc.so*"):
        found = sorted(glob.glob(f"/usr/lib/*/{name}") + glob.glob(f"/usr/lib*/{name}"))
        if found:
            return found[0]
    return None


def mkl_answer(folder):
    """Builds the library that tells MKL to use its fast kernels; None on Intel or without a compiler."""
    with open("/proc/cpuinfo") as file:
        amd = "AuthenticAMD" in file.read()
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not amd or compiler is None:
        return None
    library = os.path.join(folder, "mkl_answer.so")
    source = b"int mkl_serv_intel_cpu_true(void) { return 1; }"
    built = subprocess.run([compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, capture_output=True)
    return library if built.returncode == 0 else None


def tuned(folder):
    """The environment in which PyTorch is fastest."""
    keep = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1000000000000"
    libraries = [path for path in (allocator(), mkl_answer(folder), os.environ.get("LD_PRELOAD")) if path]
    return dict(os.environ, GLIBC_TUNABLES=keep, LD_PRELOAD=":".join(libraries))


def measure(args):
    import torch
    import torch_llama as llama

    imported_mb, load = memory_mb("VmRSS"), os.getloadavg()[0]
    llama.setup(args.threads)
    s = llama.CONFIGS[args.config] if args.config in llama.CONFIGS else json.loads(args.config)
    model = llama.Llama(s, s["seqLen"])
    model.init_normal()
    optimizer = llama.adamw(model)
    run = model
    if args.mode != "eager":
        run = torch.compile(model, dynamic=False, mode="max-autotune-no-cudagraphs" if args.mode == "autotune" else None)
    batches = torch.randint(s["vocabSize"], (16, s["batch"], s["seqLen"] + 1))

    warmup = time.perf_counter()
    for i in range(3):
        llama.train_step(run, optimizer, batches[i], 1e-3)[0].item()
    warmup = time.perf_counter() - warmup
    whole_peak_mb = memory_mb("VmHWM")
    forget_peak()
    times = []
    start = time.perf_counter()
    while len(times) < args.steps if args.steps else time.perf_counter() - start < args.seconds:
        began = time.perf_counter()
        loss, _ = llama.train_step(run, optimizer, batches[len(times) % 16], 1e-3)
        loss = loss.item()
        times.append(time.perf_counter() - began)
    times.sort()
    tokens = s["batch"] * s["seqLen"]
    peak_mb = memory_mb("VmHWM")
    return dict(
        bench="torch_step", config=args.config, mode=args.mode, threads=args.threads,
        tokensPerSecondMedian=round(tokens / times[len(times) // 2], 1), tokensPerSecondBest=round(tokens / times[0], 1),
        steps=len(times), loss=round(loss, 4), peakRssMb=peak_mb, peakRssWithWarmupMb=max(whole_peak_mb, peak_mb),
        importRssMb=imported_mb, warmupSeconds=round(warmup, 1), loadAverage=round(load, 2), torch=torch.__version__,
        cpuCapability=torch.backends.cpu.get_cpu_capability(), matmulPrecision=torch.get_float32_matmul_precision(),
        preload=[os.path.basename(p) for p in os.environ.get("LD_PRELOAD", "").split(":") if p],
        waitPolicy=os.environ.get("OMP_WAIT_POLICY", ""), malloc=os.environ.get("GLIBC_TUNABLES", ""))


def best(args):
    """Each mode in a fresh process, so that each has its own peak memory; with several threads also each way of waiting."""
    results, failures = {}, {}
    policies = ("active", "passive") if args.threads > 1 else ("active",)
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ) if args.plain else tuned(folder)
        for mode, policy in itertools.product(MODES, policies):
            command = [sys.executable, __file__, args.config, "--threads", str(args.threads), "--mode", mode,
                       "--seconds", str(args.seconds), "--steps", str(args.steps)]
            env["OMP_WAIT_POLICY"] = policy
            child = subprocess.run(command, env=env, capture_output=True, text=True)
            if child.returncode == 0:
                results[f"{mode} {policy}"] = json.loads(child.stdout.strip().splitlines()[-1])
            else:
                failures[f"{mode} {policy}"] = (child.stderr.strip().splitlines() or ["no message"])[-1][:200]
    if not results:
        raise SystemExit(f"no mode works: {failures}")
    modes = {name: dict(median=r["tokensPerSecondMedian"], best=r["tokensPerSecondBest"], peakRssMb=r["peakRssMb"])
             for name, r in results.items()}
    return max(results.values(), key=lambda r: r["tokensPerSecondMedian"]) | dict(modes=modes, failures=failures)


if __name__ == "__main__":
    options = arguments()
    print(json.dumps(best(options) if options.mode == "best" else measure(options)))
