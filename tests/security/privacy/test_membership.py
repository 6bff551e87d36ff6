"""Membership scores against what is known exactly, and against scikit-learn's area under the curve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from security.privacy.attributes import paired_gain, posterior
from security.privacy.membership import (
    black_box,
    caught,
    confidence,
    halves,
    likelihood_ratio,
    rule_based,
    separation,
)

MEMBER = np.arange(4000) < 2000


def shifted(by: float, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """Scores of members drawn from a normal that lies ``by`` above that of the others."""
    return np.random.default_rng(seed).normal(size=len(MEMBER)) + by * MEMBER


def test_area_and_error_are_those_of_the_normal_shift_and_of_scikit_learn() -> None:
    score = shifted(1.0)
    found = separation(score, MEMBER, seed=0)
    assert found.auc == pytest.approx(roc_auc_score(MEMBER, score), abs=1e-12)
    assert abs(found.auc - norm.cdf(1 / np.sqrt(2))) < 3 * found.error
    spread = np.std([separation(shifted(1.0, seed), MEMBER, 0).auc for seed in range(40)])
    assert found.error == pytest.approx(spread, rel=0.35)


def test_ties_count_half() -> None:
    assert separation(np.zeros(40), np.arange(40) < 20, 0).auc == 0.5


def test_the_advantage_of_a_useless_score_is_around_zero_although_thresholds_are_chosen() -> None:
    gained = [separation(shifted(0.0, seed), MEMBER, seed).advantage for seed in range(30)]
    assert abs(np.mean(gained)) < 0.01
    best = separation(shifted(1.0), MEMBER, 0).advantage
    assert best == pytest.approx(2 * norm.cdf(0.5) - 1, abs=0.04)


def test_the_rate_that_is_caught_is_the_roc_curve_of_scikit_learn() -> None:
    score = np.round(shifted(1.5), 2)
    fpr, tpr, _ = roc_curve(MEMBER, score, drop_intermediate=False)
    for rate in (0.001, 0.01, 0.1):
        assert caught(score, MEMBER, rate) == pytest.approx(tpr[fpr <= rate].max())


def test_every_row_is_in_as_many_shadow_models_as_out_of() -> None:
    chosen = np.stack(list(halves(101, 8, seed=3)))
    assert chosen.shape == (8, 101)
    assert (chosen.sum(axis=0) == 4).all()
    assert len({tuple(row) for row in chosen.tolist()}) == 8


def test_the_likelihood_ratio_is_the_one_of_two_normals() -> None:
    generator = np.random.default_rng(0)
    inside = np.stack(list(halves(400, 2000, 1)))
    shadow = np.where(inside, generator.normal(2.0, 1.0, inside.shape), generator.normal(0.0, 1.0, inside.shape))
    observed = np.linspace(-3, 5, 400)
    expected = norm.logpdf(observed, 2, 1) - norm.logpdf(observed, 0, 1)
    assert likelihood_ratio(observed, shadow, inside) == pytest.approx(expected, abs=0.8)
    assert np.corrcoef(likelihood_ratio(observed, shadow, inside), expected)[0, 1] > 0.99
    with pytest.raises(ValueError, match="inside one shadow model"):
        likelihood_ratio(observed, shadow[:1], inside[:1])


def test_hard_rows_do_not_hide_behind_easy_ones() -> None:
    """A row's own difficulty is taken out: the confidence alone cannot tell, the ratio can (Carlini et al. 2022)."""
    generator = np.random.default_rng(0)
    member, hard = np.arange(600) < 300, generator.normal(0, 5, 600)
    inside = np.stack(list(halves(600, 16, 1)))
    shadow = hard + 1.5 * inside + generator.normal(0, 0.5, inside.shape)
    observed = hard + 1.5 * member + generator.normal(0, 0.5, 600)
    assert separation(observed, member, 0).auc < 0.65
    assert separation(likelihood_ratio(observed, shadow, inside), member, 0).auc > 0.95


def test_the_toolbox_attacks_tell_a_sure_model_from_a_fair_one() -> None:
    generator = np.random.default_rng(0)
    y, member = generator.integers(0, 2, 600), np.arange(600) < 300
    own = np.where(member, generator.uniform(0.9, 1.0, 600), generator.uniform(0.3, 1.0, 600))
    proba = np.stack([np.where(y == 0, own, 1 - own), np.where(y == 1, own, 1 - own)], axis=1)
    assert rule_based(proba, y).tolist() == (own > 0.5).astype(float).tolist()
    score = black_box(proba, y, member, seed=1)
    assert separation(score, member, 0).auc > 0.8
    assert (black_box(proba, y, member, seed=1) == score).all()
    fair = np.full_like(proba, 0.5)
    assert separation(black_box(fair, y, member, 1), member, 0).auc == pytest.approx(0.5, abs=0.08)


def test_confidence_is_the_logit_and_finite_at_the_ends() -> None:
    proba = np.array([[0.8, 0.2], [1.0, 0.0], [1.0, 0.0]])
    found = confidence(proba, np.array([0, 0, 1]))
    assert found[0] == pytest.approx(np.log(4))
    assert np.isfinite(found).all()
    assert found[1] == pytest.approx(-found[2])


def test_gain_over_the_baseline_by_hand() -> None:
    truth = np.zeros(100, dtype=int)
    attack, baseline = np.ones(100, dtype=int), np.ones(100, dtype=int)
    attack[:70], baseline[:50] = 0, 0
    gain, low, high = paired_gain(attack, baseline, truth, 0.95)
    assert gain == pytest.approx(0.2)
    assert 0.1 < low < 0.2 < high < 0.3
    same, low, high = paired_gain(baseline, baseline, truth, 0.95)
    assert same == 0
    assert low < 0 < high, "no disagreement is no certainty"


def test_prior_and_answers_are_multiplied() -> None:
    base, answers = np.array([[0.6, 0.4], [0.6, 0.4]]), np.array([[0.5, 0.5], [0.1, 0.9]])
    assert posterior(base, answers).tolist() == [0, 1]
