"""Compiles every CUDA kernel of the engine for GPUs with NVRTC. Needs no GPU and no CUDA installation.

    pip install nvidia-cuda-nvrtc-cu12
    python scripts/check_kernels.py

Exits with 1 if a kernel does not compile, with 2 if NVRTC is missing. Warnings count as errors.
"""

import ctypes
import sys
from pathlib import Path

# Oldest and newest GPUs that the kernels are written for: A100, H100, RTX 50 and RTX PRO Blackwell.
ARCHITECTURES = ["sm_80", "sm_90a", "sm_120"]
ENGINE = Path(__file__).resolve().parent.parent / "crates/engine/src"


def load_nvrtc():
    """NVRTC of the wheel `nvidia-cuda-nvrtc-cu12`, or None."""
    try:
        import nvidia.cuda_nvrtc as wheel
    except ImportError:
        return None
    folder = Path(next(iter(wheel.__path__))) / "lib"
    return ctypes.CDLL(str(folder / "libnvrtc.so.12"))


def compile_kernel(nvrtc, source, headers, architecture):
    """Compiles one file; returns whether that worked, the size of the machine code, and the log."""
    program = ctypes.c_void_p()
    names = (ctypes.c_char_p * len(headers))(*[header.name.encode() for header in headers])
    texts = (ctypes.c_char_p * len(headers))(*[header.read_bytes() for header in headers])
    created = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), source.read_bytes(), source.name.encode(), len(headers), texts, names
    )
    if created != 0:
        return False, 0, f"nvrtcCreateProgram returned {created}"
    options = [f"--gpu-architecture={architecture}", "--std=c++17"]
    encoded = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    compiled = nvrtc.nvrtcCompileProgram(program, len(options), encoded)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    size.value = 0
    if compiled == 0:
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    text = log.value.decode().strip()  # warnings too: NVRTC cannot turn them into errors
    return size.value > 0 and not text, size.value, text


def main():
    nvrtc = load_nvrtc()
    if nvrtc is None:
        print("NVRTC is missing: pip install nvidia-cuda-nvrtc-cu12", file=sys.stderr)
        return 2
    headers = sorted((ENGINE / "cuda").glob("*.cuh"))
    sources = sorted((ENGINE / "ops").glob("*/*.cu"))
    if not sources:
        print(f"no kernels in {ENGINE}/ops", file=sys.stderr)
        return 1
    failures = 0
    for source in sources:
        for architecture in ARCHITECTURES:
            compiled, size, log = compile_kernel(nvrtc, source, headers, architecture)
            result = f"{size} bytes" if compiled else "failed"
            print(f"{source.name} {architecture}: {result}")
            if not compiled:
                failures += 1
                print(log, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
