"""Whom a campaign helps: `learn_uplift` beside the learners of scikit-uplift and causalml on Hillstrom's e-mail test.

Run ``python benchmarks/uplift.py`` from the project's root, with hillstrom.parquet in ``../shared/data`` or at
``$RELMARK_DATA``. Rivals that are not installed are left out, and said so: install scikit-uplift and causalml into an
environment of its own. Everybody gets the same people, features and five folds, over ten divisions into folds; the
figure is the area between the uplift curve and the line of random choice, per person, of the scores that were learned
without the person's fold. CPU seconds are those of one five-fold learning, all threads of the process together. Last
come how often a difference is found among people who do not differ, and how often the gain's interval holds.
"""

import timing  # isort: skip  (sets the BLAS to one thread before numpy loads)

import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from relmark.experiments import Moments, learn_uplift, uplift_curve
from relmark.experiments.uplift_features import feature_columns

DATA = Path(os.environ.get("RELMARK_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data")
FOLDS, SEEDS = 5, 10
SETS = {
    "all": ["recency", "history", "mens", "womens", "newbie", "zip_code", "channel"],
    "four": ["recency", "history", "mens", "womens"],
}
sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent]
"""Without this folder, whose coverage.py numba, which causalml imports, would take for another package."""
Learner = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def rivals() -> dict[str, Learner]:
    """Return what learns from (x, y, w) and scores x, by name."""
    found: dict[str, Learner] = {}
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklift.models import ClassTransformation, SoloModel, TwoModels
    except ImportError as error:
        print(f"scikit-uplift is left out: {error}")
    else:

        def logistic() -> Any:
            return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))

        def trees() -> Any:
            return HistGradientBoostingClassifier(max_depth=3, max_iter=100, random_state=0)

        def of(model: Callable[[], Any]) -> Learner:
            def learn(x: np.ndarray, y: np.ndarray, w: np.ndarray, new: np.ndarray) -> np.ndarray:
                fitted = model().fit(x, y, w)
                return np.asarray(fitted.predict(new)).reshape(-1)

            return learn

        found |= {
            "sklift two models, logistic": of(lambda: TwoModels(logistic(), logistic(), method="vanilla")),
            "sklift two models, trees": of(lambda: TwoModels(trees(), trees(), method="vanilla")),
            "sklift two models, trees, ddr": of(lambda: TwoModels(trees(), trees(), method="ddr_control")),
            "sklift solo model, trees": of(lambda: SoloModel(trees())),
            "sklift class transformation, trees": of(lambda: ClassTransformation(trees())),
        }
    try:
        from causalml.inference.meta import BaseRRegressor, BaseXRegressor
        from sklearn.linear_model import Ridge
    except Exception as error:  # noqa: BLE001  (an import of many libraries)
        print(f"causalml is left out: {type(error).__name__}: {error}")
    else:

        def of_causalml(model: Callable[[], Any]) -> Learner:
            def learn(x: np.ndarray, y: np.ndarray, w: np.ndarray, new: np.ndarray) -> np.ndarray:
                fitted = model()
                fitted.fit(x, w.astype(int), y, p=np.full(len(x), w.mean()))
                return np.asarray(fitted.predict(new, p=np.full(len(new), w.mean()))).reshape(-1)

            return learn

        found |= {
            "causalml X-learner, ridge": of_causalml(lambda: BaseXRegressor(Ridge())),
            "causalml R-learner, ridge": of_causalml(lambda: BaseRRegressor(Ridge())),
        }
    return found


def area(score: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """Return the area over random per person."""
    return uplift_curve(score, y, w, resamples=0).auuc.value


def said(name: str, areas: list[float], seconds: list[float]) -> None:
    print(f"  {name:44} {np.mean(areas):9.5f} {np.std(areas):9.5f} {np.median(seconds):10.3f}", flush=True)


def compare(table: Any, arm: str, features: list[str], learners: dict[str, Learner]) -> None:
    """Print the areas of everybody for one arm against none."""
    names = np.array(table["segment"].to_pylist())
    kept = np.isin(names, [arm, "No E-Mail"])
    data = {name: table[name].to_numpy()[kept] for name in (*features, "visit")}
    arms, w = names[kept], (names[kept] == arm).astype(float)
    y = data["visit"].astype(float)
    x = np.column_stack([np.asarray(c, dtype=float) for c in feature_columns(data, features).values()])
    folds = [np.random.default_rng(seed).permutation(len(y)) % FOLDS for seed in range(SEEDS)]
    areas, seconds = [], []
    for fold in folds:
        start = time.process_time()
        u = learn_uplift(data, arms, outcome="visit", features=features, control="No E-Mail", folds=fold)
        seconds.append(time.process_time() - start)
        areas.append(area(u.out_of_fold[arm], y, w))
    said("relmark learn_uplift", areas, seconds)
    columns = {"visit": y, **feature_columns(data, features)}
    moments = Moments.from_columns(columns, arms, segment=folds[0])
    start = time.process_time()
    learn_uplift(moments, outcome="visit", control="No E-Mail")
    print(f"  {'  the same from moments':44} {'':9} {'':9} {time.process_time() - start:10.3f}")
    for name, learn in learners.items():
        areas, seconds = [], []
        for fold in folds[: SEEDS if "trees" not in name else 3]:
            score = np.empty(len(y))
            start = time.process_time()
            for part in range(FOLDS):
                held = fold == part
                score[held] = learn(x[~held], y[~held], w[~held], x[held])
            seconds.append(time.process_time() - start)
            areas.append(area(score, y, w))
        said(name, areas, seconds)


def without_difference(kind: str, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return columns and arms of 1,000 people on whom the mail has one effect."""
    n, p = 1_000, 6
    w, x = rng.random(n) < 0.5, rng.normal(size=(n, p))
    if kind == "normal":
        y = x[:, 0] + 0.3 * w + rng.normal(size=n)
    elif kind == "yes or no":
        y = (rng.random(n) < np.minimum(1 / (1 + np.exp(1.5 - x[:, 0])), 0.9) + 0.05 * w).astype(float)
    elif kind == "spread by a feature":
        y = 0.3 * w + rng.normal(size=n) * np.exp(0.8 * x[:, 0])
    elif kind == "one in ten is control":
        w = rng.random(n) < 0.9
        y = x[:, 0] + 0.3 * w + rng.normal(size=n) * np.where(w, 2, 1)
    else:
        y = (rng.random(n) < 0.05 + 0.1 * (x[:, 0] > 0)) * np.exp(rng.normal(size=n) + 3) + w
    return {"y": y, **{f"x{k}": x[:, k] for k in range(p)}}, np.where(w, "mail", "control")


def levels(tests: int = 1_000) -> None:
    """Print how often a difference is found where there is none; 5 percent are promised."""
    print(f"A difference found where there is none, percent of {tests:,} tests (5 promised, standard error 0.7)")
    print(f"  {'':28} {'rows':>6} {'moments, 10 folds':>18}")
    for kind in ("normal", "yes or no", "spread by a feature", "one in ten is control", "few heavy buyers"):
        rows = moments = 0
        for seed in range(tests):
            data, arm = without_difference(kind, np.random.default_rng(seed))
            features = [name for name in data if name != "y"]
            rows += int(learn_uplift(data, arm, outcome="y", features=features).found[0])
            counted = Moments.from_columns(data, arm, segment=np.arange(len(arm)) % 10)
            moments += int(learn_uplift(counted, outcome="y").found[0])
        print(f"  {kind:28} {100 * rows / tests:6.1f} {100 * moments / tests:18.1f}", flush=True)


def true_area(tau: np.ndarray, score: np.ndarray) -> float:
    """Return the area over random of a ranking of people whose effects are known."""
    gain = np.cumsum(tau[np.argsort(-score, kind="stable")]) / len(tau)
    return float(np.trapezoid(gain, np.arange(1, len(tau) + 1) / len(tau)) - gain[-1] / 2)


def intervals(tests: int = 150) -> None:
    """Print how often the interval of the gain holds the true area of the score, and how often a constant loses."""
    print(f"The gain's interval, percent of {tests} tests that hold the true area (95 promised, standard error 1.8)")
    print(f"  {'points of two features':28} {'gain':>6} {'bootstrap alone':>16} {'a constant has the larger loss':>36}")
    p, n = 6, 1_500
    fresh = np.random.default_rng(99).normal(size=(20_000, p))
    names = [f"x{k}" for k in range(p)]
    for size in (0.0, 0.1, 0.2, 0.4):
        beta = np.concatenate([[size, size / 2], np.zeros(p - 2)])
        held = alone = better = 0
        for seed in range(tests):
            rng = np.random.default_rng(seed)
            x, w = rng.normal(size=(n, p)), rng.random(n) < 0.5
            y = x[:, 0] + w * (0.2 + x @ beta) + 1.5 * rng.normal(size=n)
            arm = np.where(w, "mail", "control")
            u = learn_uplift(dict(zip(names, x.T, strict=True)) | {"y": y}, arm, outcome="y", features=names)
            truth = true_area(fresh @ beta, fresh @ np.array(u.as_learned.arms[0].points)) if size else 0.0
            plain = uplift_curve(u.out_of_fold["mail"], y, arm).auuc
            held += u.gain.low <= truth <= u.gain.high
            alone += plain.low <= truth <= plain.high
            better += int(u.improvement[0] > 0)
        shares = [100 * one / tests for one in (held, alone, better)]
        print(f"  {f'{size:g} and {size / 2:g}':28} {shares[0]:6.1f} {shares[1]:16.1f} {shares[2]:36.1f}", flush=True)


def main() -> None:
    """Compare on both arms with all features, and with the four that say what was bought and when."""
    file = DATA / "hillstrom.parquet"
    if not file.exists():
        sys.exit(f"{file} is not there: set RELMARK_DATA")
    warnings.simplefilter("ignore")
    installed = []
    for package in ("scikit-uplift", "scikit-learn", "causalml"):
        try:
            version(package)
        except PackageNotFoundError:
            continue
        installed.append(package)
    print(timing.heading(*installed))
    learners = rivals()
    table = pq.read_table(file)
    for arm in ("Mens E-Mail", "Womens E-Mail"):
        for name, features in SETS.items():
            print(f"{arm} against none, visits, {name} features")
            print(f"  {'':44} {'area':>9} {'spread':>9} {'CPU, s':>10}")
            compare(table, arm, features, learners)
    levels()
    intervals()


if __name__ == "__main__":
    main()
