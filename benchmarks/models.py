"""Logistic regression and stratified Cox regression against their peers, on the same rows.

Each peer runs in a process of its own, reads the same file, warms up nothing, and reports the seconds of
the fit alone, its coefficients, and the peak memory above what it held with the table loaded.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LOGISTIC = (1_000_000, 50)
COX = (500_000, 20)
SITES = 4


def make_logistic(folder: Path) -> None:
    """1,000,000 × 50: 40 normal columns, 10 indicators; outcome about 20 %."""
    n, p = LOGISTIC
    r = np.random.default_rng(1)
    X = r.normal(size=(p, n))
    X[40:] = (X[40:] > 0.8).astype(float)
    beta = r.normal(size=p) * 0.15
    y = (r.random(n) < 1 / (1 + np.exp(1.5 - beta @ X))).astype(float)
    _write(folder / "logistic", X, {"y": y})


def make_cox(folder: Path) -> None:
    """500,000 × 20: exponential follow-up in days, about 30 % events, administrative end after ten years."""
    n, p = COX
    r = np.random.default_rng(2)
    X = r.normal(size=(p, n))
    beta = r.normal(size=p) * 0.15
    t = r.exponential(np.exp(-beta @ X)) * 9_000
    c = np.minimum(r.exponential(size=n) * 6_000, 3652)
    time_ = np.ceil(np.minimum(t, c))
    _write(folder / "cox", X, {"t": time_, "e": (t <= c).astype(float)})


def _write(path: Path, X: np.ndarray, others: dict[str, np.ndarray]) -> None:
    """Parquet for Python, raw doubles for R: columns in order x0 …, others, site."""
    n = X.shape[1]
    columns = {f"x{j}": X[j] for j in range(len(X))} | others | {"site": np.arange(n) * SITES // n + 0.0}
    pq.write_table(pa.table(columns), path.with_suffix(".parquet"), compression="none")
    with path.with_suffix(".bin").open("wb") as file:
        for values in columns.values():
            file.write(np.ascontiguousarray(values, "<f8").tobytes())


def ours(kind: str, folder: Path, policy: str = "public") -> dict[str, object]:
    """Atoll in process: four sites, two threads; the table is an Arrow table in memory."""
    import atoll
    from atoll.algorithms import registry

    table = pq.read_table(folder / f"{kind}.parquet")
    site = table.column("site").to_numpy()
    table = table.drop_columns(["site"])
    bounds = np.searchsorted(site, np.arange(SITES + 1))
    parts = {f"s{k}": table.slice(bounds[k], bounds[k + 1] - bounds[k]) for k in range(SITES)}
    network = atoll.Network(parts, policy=policy, threads=2)
    terms = " + ".join(name for name in table.column_names if name.startswith("x"))
    rest = (
        {"formula": f"y ~ {terms}", "family": "binomial"}
        if kind == "logistic"
        else {"formula": terms, "time": "t", "event": "e"}
    )
    algorithm = "glm" if kind == "logistic" else "cox"
    registry.get(algorithm)  # modules are loaded before the clock starts, as the peers' are
    seconds, above, fit = _measured(lambda: network.run(algorithm, **rest))
    return {
        "seconds": seconds,
        "above": above,
        "table": table.nbytes,
        "beta": fit.params.tolist(),
        "rounds": fit.rounds,
    }


def strict(kind: str, folder: Path) -> dict[str, object]:
    """The same where patients are protected: each person's leverage is looked at, and who stands behind is counted."""
    return ours(kind, folder, "strict")


def statsmodels(kind: str, folder: Path) -> dict[str, object]:
    """statsmodels GLM, its default IRLS."""
    import statsmodels.api as sm

    X, y = _dense(folder)
    seconds, above, fit = _measured(lambda: sm.GLM(y, X, family=sm.families.Binomial()).fit(tol=1e-10))
    return {"seconds": seconds, "above": above, "table": X.nbytes, "beta": fit.params.tolist()}


def glum(kind: str, folder: Path) -> dict[str, object]:
    """glum without penalty, two threads, its default tolerance (looser than ours: it stops at about seven digits)."""
    from glum import GeneralizedLinearRegressor

    X, y = _dense(folder)
    X = np.asfortranarray(X[:, 1:])
    model = GeneralizedLinearRegressor(family="binomial", alpha=0, max_iter=100)
    seconds, above, fit = _measured(lambda: model.fit(X, y))
    return {"seconds": seconds, "above": above, "table": X.nbytes, "beta": [float(fit.intercept_), *fit.coef_.tolist()]}


def lifelines(kind: str, folder: Path) -> dict[str, object]:
    """lifelines CoxPHFitter (Efron), strata by site."""
    from lifelines import CoxPHFitter

    frame = pq.read_table(folder / "cox.parquet").to_pandas()
    seconds, above, fit = _measured(lambda: CoxPHFitter().fit(frame, "t", "e", strata=["site"]))
    return {"seconds": seconds, "above": above, "table": 0, "beta": fit.params_.tolist()}


R_LOGISTIC = """
n <- %d; p <- %d
X <- matrix(readBin("%s", "double", n * (p + 2)), n)
y <- X[, p + 1]; X <- cbind(1, X[, 1:p]); gc(FALSE)
s <- system.time(f <- glm.fit(X, y, family = binomial(), control = glm.control(epsilon = 1e-10)))[["elapsed"]]
cat(s, "\\n"); cat(format(f$coefficients, digits = 17), "\\n")
"""
R_COX = """
suppressMessages(library(survival))
n <- %d; p <- %d
D <- matrix(readBin("%s", "double", n * (p + 3)), n); gc(FALSE)
y <- Surv(D[, p + 1], D[, p + 2]); X <- D[, 1:p]; g <- D[, p + 3]
s <- system.time(f <- coxph(y ~ X + strata(g)))[["elapsed"]]
cat(s, "\\n"); cat(format(coef(f), digits = 17), "\\n")
"""


def in_r(kind: str, folder: Path) -> dict[str, object]:
    """R: glm.fit, or survival::coxph."""
    n, p = LOGISTIC if kind == "logistic" else COX
    script = (R_LOGISTIC if kind == "logistic" else R_COX) % (n, p, folder / f"{kind}.bin")
    done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    seconds, beta = done.stdout.strip().split("\n")[-2:]
    return {"seconds": float(seconds), "above": 0, "table": 0, "beta": [float(b) for b in beta.split()]}


def _dense(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    table = pq.read_table(folder / "logistic.parquet")
    y = table.column("y").to_numpy()
    X = np.empty((table.num_rows, LOGISTIC[1] + 1))
    X[:, 0] = 1
    for j in range(LOGISTIC[1]):
        X[:, j + 1] = table.column(f"x{j}").to_numpy()
    return X, y


def _measured(fit: object) -> tuple[float, int, object]:
    """Seconds, and peak resident bytes above those before the fit."""
    before = _rss()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    start = time.perf_counter()
    result = fit()  # type: ignore[operator]
    seconds = time.perf_counter() - start
    return seconds, max(_peak() - before, 0), result


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _peak() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


PEERS = {"ours": ours, "strict": strict, "statsmodels": statsmodels, "glum": glum, "lifelines": lifelines, "R": in_r}


def compare(kind: str, peers: tuple[str, ...], repeats: int = 3) -> list[dict[str, object]]:
    """Rows of the benchmark table: medians over `repeats` alternating runs, ratios to each peer, agreement."""
    folder = Path(tempfile.mkdtemp(prefix="atoll-bench-"))
    (make_logistic if kind == "logistic" else make_cox)(folder)
    wanted = ["ours", "strict", *[peer for peer in peers if peer != "R" or shutil.which("Rscript")]]
    runs: dict[str, list[dict[str, object]]] = {peer: [] for peer in wanted}
    for turn in range(repeats):
        for peer in wanted:
            if turn == 0 or peer in ("ours", "glum", "lifelines"):
                runs[peer].append(_child(peer, kind, folder))
    shutil.rmtree(folder)
    return _rows(kind, runs)


def _child(peer: str, kind: str, folder: Path) -> dict[str, object]:
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, __file__, peer, kind, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(f"{peer} {kind}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _rows(kind: str, runs: dict[str, list[dict[str, object]]]) -> list[dict[str, object]]:
    targets = {"statsmodels": 0.3, "R": 0.5 if kind == "logistic" else 1.0, "glum": 1.2, "lifelines": 0.1}
    mine = float(np.median([run["seconds"] for run in runs["ours"]]))
    beta = np.array(runs["ours"][0]["beta"])
    rows = []
    for peer, results in runs.items():
        if peer in ("ours", "strict"):
            continue
        theirs = float(np.median([run["seconds"] for run in results]))
        apart = float(np.max(np.abs(beta - np.array(results[0]["beta"]))))
        rows.append(
            {
                "what": f"{kind}, time",
                "against": peer,
                "ours": f"{mine:.2f} s",
                "theirs": f"{theirs:.2f} s",
                "ratio": mine / theirs,
                "target": targets[peer],
                "note": f"largest difference of a coefficient {apart:.1e}",
            }
        )
    protected = float(np.median([run["seconds"] for run in runs["strict"]]))
    rows.append(
        {"what": f"{kind} under the strict policy, time", "against": "the public one", "ours": f"{protected:.2f} s",
         "theirs": f"{mine:.2f} s", "ratio": protected / mine, "target": None,
         "note": "with every person's leverage, alone and among all pairs of terms; the rows above are of public data"}
    )  # fmt: skip
    table = float(runs["ours"][0]["table"])
    above = max(float(run["above"]) for run in runs["ours"])
    rows.append(
        {
            "what": f"{kind}, peak memory above the table",
            "against": "the table",
            "ours": f"{above / 1e6:.0f} MB",
            "theirs": f"{table / 1e6:.0f} MB",
            "ratio": above / table,
            "target": 0.3 if kind == "logistic" else None,
            "note": "",
        }
    )
    return rows


if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))))
