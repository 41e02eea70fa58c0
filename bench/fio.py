"""Reading with fio: bytes and operations a second."""

import json

import children


def read(path, pattern, block, engine="psync", depth=1, direct=False, size=None, seconds=None):
    """Reads `path`; `pattern` is read or randread. For `seconds`, or once over `size` bytes.

    The page cache is left as it was (invalidate=0): it is the caller who says what is in it.
    Gives {"mib_s", "iops", "p50_us", "p99_us"}.
    """
    argv = ["fio", "--name=read", f"--filename={path}", f"--rw={pattern}", f"--bs={block}",
            f"--ioengine={engine}", f"--iodepth={depth}", f"--direct={int(direct)}", "--readonly",
            "--invalidate=0", "--randseed=1", "--output-format=json", "--group_reporting",
            "--eta=never"]
    if size:
        argv.append(f"--size={size}")
    if seconds:
        argv += ["--time_based", f"--runtime={seconds}"]
    out = children.run(argv, timeout=300)
    read = json.loads(out[out.index("{"):])["jobs"][0]["read"]
    percentiles = read["clat_ns"].get("percentile", {})
    return {"mib_s": read["bw_bytes"] / 2**20, "iops": read["iops"],
            "p50_us": percentiles.get("50.000000", 0) / 1000,
            "p99_us": percentiles.get("99.000000", 0) / 1000}
