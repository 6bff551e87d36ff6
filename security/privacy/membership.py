"""Membership inference: scores that are high for rows a model was trained on, and what they are worth.

Pure functions over arrays: ``proba`` (rows, classes) are the model's answers, ``y`` (rows,) the labels as positions,
``member`` (rows,) whether a row was in the training data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata

from security.attacks.evasion import art_is_loud, seeded_globally

Array = np.ndarray[Any, Any]
Fit = Callable[[Array, int], Callable[[], Array]]
"""(row positions to train on, seed) to a function that gives the new model's probabilities of all rows."""
_EDGE = 1e-6


def confidence(proba: Array, y: Array) -> Array:
    """The logit of the probability of the right label, (rows,): near normal over models (Carlini et al. 2022, IV)."""
    own = np.clip(proba[np.arange(len(y)), y], _EDGE, 1 - _EDGE)
    return np.asarray(np.log(own) - np.log1p(-own))


def halves(rows: int, shadows: int, seed: int) -> Iterator[Array]:
    """For each shadow model which rows it is trained on, boolean (rows,): a random half and the rest, in turn, so that
    every row is in as many models as it is out of."""
    generator = np.random.default_rng(seed)
    for _ in range(shadows // 2):
        chosen = np.zeros(rows, dtype=bool)
        chosen[generator.permutation(rows)[: rows // 2]] = True
        yield chosen
        yield ~chosen


def likelihood_ratio(observed: Array, shadow: Array, inside: Array) -> Array:
    """LiRA scores (rows,), online variant with one variance for all rows (Carlini et al. 2022, VI-C: few shadows).

    ``observed`` (rows,) and ``shadow`` (models, rows) are confidences, ``inside`` (models, rows) who trained on what.
    Raises ValueError when a row was never inside or never outside.
    """
    if not (inside.any(axis=0).all() and (~inside).any(axis=0).all()):
        raise ValueError("every row must be inside one shadow model and outside another")
    means, spreads = [], []
    for which in (inside, ~inside):
        mean = np.where(which, shadow, 0.0).sum(axis=0) / which.sum(axis=0)
        means.append(mean)
        gap = (shadow - mean)[which]
        spreads.append(max(float(np.sqrt((gap**2).mean())), 1e-3))
    scores = [norm.logpdf(observed, mean, spread) for mean, spread in zip(means, spreads, strict=True)]
    return np.asarray(scores[0] - scores[1])


def rule_based(proba: Array, y: Array) -> Array:
    """1 for a row that is predicted right, 0 otherwise, by the toolbox's rule (Yeom et al. 2018), (rows,)."""
    with art_is_loud():
        from art.attacks.inference.membership_inference import MembershipInferenceBlackBoxRuleBased  # noqa: PLC0415 - slow

        attack = MembershipInferenceBlackBoxRuleBased(_answers(proba))
        return np.asarray(attack.infer(_positions(y), y), dtype=np.float64).ravel()


def black_box(proba: Array, y: Array, member: Array, seed: int) -> Array:
    """The toolbox's attack model (a forest on answers and labels; Shokri et al. 2017), (rows,).

    The attacker knows half of the members; each half is scored by the model that learned from the other.
    """
    half = np.zeros(len(y), dtype=bool)
    generator = np.random.default_rng(seed)
    for side in (True, False):
        rows = np.flatnonzero(member == side)
        half[generator.permutation(rows)[: len(rows) // 2]] = True
    scores = np.zeros(len(y))
    with seeded_globally(seed), art_is_loud():
        from art.attacks.inference.membership_inference import MembershipInferenceBlackBox  # noqa: PLC0415 - slow

        for known in (half, ~half):
            attack = MembershipInferenceBlackBox(_answers(proba), attack_model_type="rf")
            inside, outside = np.flatnonzero(known & member), np.flatnonzero(known & ~member)
            attack.fit(inside[:, None].astype(np.float32), y[inside], outside[:, None].astype(np.float32), y[outside])
            rest = np.flatnonzero(~known)
            found = attack.infer(rest[:, None].astype(np.float32), y[rest], probabilities=True)
            scores[rest] = np.asarray(found).reshape(len(rest), -1)[:, -1]
    return scores


def _positions(y: Array) -> Array:
    return np.arange(len(y), dtype=np.float32)[:, None]


def _answers(proba: Array) -> Any:
    """A toolbox classifier over row numbers, which answers what the model answered: nothing is asked twice."""
    from art.estimators.classification import BlackBoxClassifier  # noqa: PLC0415 - slow to import

    def answer(rows: Array) -> Array:
        return np.asarray(proba[np.asarray(rows)[:, 0].round().astype(np.intp)], dtype=np.float32)

    return BlackBoxClassifier(answer, input_shape=(1,), nb_classes=proba.shape[1], clip_values=(0, len(proba)))


@dataclass(frozen=True)
class Separation:
    """How well a score tells members from others: area under the ROC curve and its standard error (DeLong et al. 1988).

    ``raised``: members and others above a threshold that was chosen on the other half of the rows.
    """

    auc: float
    error: float
    members: int
    others: int
    raised: tuple[int, int]

    @property
    def advantage(self) -> float:
        """True- minus false-positive rate (Yeom et al. 2018) at thresholds that were chosen on other rows."""
        return self.raised[0] / self.members - self.raised[1] / self.others


def separation(score: Array, member: Array, seed: int) -> Separation:
    """Measure a score. Raises ValueError without two members and two others."""
    ins, outs = score[member], score[~member]
    if min(len(ins), len(outs)) < 2:
        raise ValueError("two members and two others are needed")
    ranks = rankdata(np.concatenate([ins, outs]))
    above = (ranks[: len(ins)] - rankdata(ins)) / len(outs)
    below = 1 - (ranks[len(ins) :] - rankdata(outs)) / len(ins)
    error = float(np.sqrt(above.var(ddof=1) / len(ins) + below.var(ddof=1) / len(outs)))
    return Separation(float(above.mean()), error, len(ins), len(outs), _raised(score, member, seed))


def _raised(score: Array, member: Array, seed: int) -> tuple[int, int]:
    """Members and others above the best threshold of the other half of the rows."""
    half = np.random.default_rng(seed).permutation(len(score)) % 2 == 0
    hits = np.zeros(2, dtype=int)
    for learn, apply in ((half, ~half), (~half, half)):
        limit = _best_limit(score[learn], member[learn])
        up = score[apply] >= limit
        hits += [int((up & member[apply]).sum()), int((up & ~member[apply]).sum())]
    return int(hits[0]), int(hits[1])


def _best_limit(score: Array, member: Array) -> float:
    order = np.argsort(-score, kind="stable")
    value, truth = score[order], member[order]
    gain = np.cumsum(truth) / max(truth.sum(), 1) - np.cumsum(~truth) / max((~truth).sum(), 1)
    last = np.append(value[1:] != value[:-1], True)  # a limit lies between two different scores
    return float(value[np.where(last, gain, -np.inf).argmax()])


def caught(score: Array, member: Array, false_positives: float) -> float:
    """True-positive rate at a false-positive rate of at most ``false_positives`` (Carlini et al. 2022, III)."""
    outs = np.sort(score[~member])
    allowed = int(np.floor(false_positives * len(outs)))
    limit = outs[len(outs) - 1 - allowed] if allowed < len(outs) else -np.inf
    return float((score[member] > limit).mean())
