import abc
from typing import Any

import equinox as eqx
import numpy as np


class AbstractBandit(eqx.Module):
    """Learns which of a few settings of a solver costs least, from the costs of one solve after the other.

    Lives on the host in NumPy, outside of `jax.jit`, and is immutable:

        p = bandit.probabilities(context)
        action = rng.choice(len(p), p=p)
        bandit = bandit.update(action, cost, context)
    """

    @abc.abstractmethod
    def probabilities(self, context: float | None = None) -> np.ndarray:
        """With which probability each action is to be taken; sums to one."""

    @abc.abstractmethod
    def update(self, action: int, cost: float, context: float | None = None) -> "AbstractBandit":
        """What is known after the action, taken with the `probabilities` of this bandit, has cost so much."""


class TsallisINF(AbstractBandit):
    """Tsallis-INF (Zimmert & Seldin 2021), as in Khodak, Chow, Balcan & Talwalkar 2024 ("Learning to Relax").

    In round t, `p_i = 4 / (eta_t (k_i / s - x))^2` with `eta_t = 2 / sqrt(t)` and `x` such that the sum is one; an
    action adds `(cost - 1) / p_i` to its `k_i`. Costs are counts of iterations, at least one; `s`, the running mean of
    `cost - 1`, brings the losses to the scale of one. Asks for no context.

    **Arguments:** `actions`: how many.
    """

    losses: np.ndarray
    rounds: int
    total: float

    def __init__(self, actions: int):
        self.losses, self.rounds, self.total = np.zeros(actions), 0, 0.0

    def probabilities(self, context: float | None = None) -> np.ndarray:
        """As `AbstractBandit`; the context is not looked at."""
        eta = 2 / np.sqrt(self.rounds + 1)
        losses = self.losses * (self.rounds / self.total if self.total > 0 else 0.0)
        # The sum rises with x and is convex: from where its largest term alone is one, Newton's iterates come down on
        # the root one after the other and need no safeguard.
        x = losses.min() - 2 / eta
        for _ in range(100):
            p = 4 / (eta * (losses - x)) ** 2
            step = (p.sum() - 1) / (eta * (p**1.5).sum())
            x = x - step
            if abs(step) * eta < 1e-12:
                break
        return p / p.sum()

    def update(self, action: int, cost: float, context: float | None = None) -> "TsallisINF":
        """As `AbstractBandit`.

        **Raises** `ValueError` for a cost below one.
        """
        if not cost >= 1:
            raise ValueError(f"the cost of a solve is its number of iterations, at least one, got {cost}.")
        losses = self.losses.copy()
        losses[action] += (cost - 1) / self.probabilities()[action]
        new = (losses, self.rounds + 1, self.total + cost - 1)
        return eqx.tree_at(lambda b: (b.losses, b.rounds, b.total), self, new)


class Binned(AbstractBandit):
    """A bandit of its own for each bin of a scalar context.

    **Arguments:** `bandit`: what each bin starts from; `edges`: inner edges of the bins, rising.
    """

    bandits: tuple[AbstractBandit, ...]
    edges: np.ndarray

    def __init__(self, bandit: AbstractBandit, edges: Any):
        self.edges = np.asarray(edges, float)
        self.bandits = (bandit,) * (len(self.edges) + 1)

    def probabilities(self, context: float | None = None) -> np.ndarray:
        """Of the bandit whose bin the context is in."""
        return self.bandits[np.searchsorted(self.edges, context)].probabilities()

    def update(self, action: int, cost: float, context: float | None = None) -> "Binned":
        """With news for the bandit whose bin the context is in."""
        i = int(np.searchsorted(self.edges, context))
        bandits = (*self.bandits[:i], self.bandits[i].update(action, cost), *self.bandits[i + 1 :])
        return eqx.tree_at(lambda b: b.bandits, self, bandits)


class ChebCB(AbstractBandit):
    """SquareCB (Foster & Rakhlin 2020) on Chebyshev regressions, as in Khodak et al. 2024: a scalar context.

    The cost of each action is fitted by a Chebyshev series in the context, least squares with a ridge, its values cut
    to the range of costs seen; then `p_i = 1 / (d + eta_t (y_i - min y))` for all actions but the best, which takes the
    rest. Costs are scaled by their running mean.

    **Arguments:** `actions`: how many, `d`; `lower`, `upper`: range of the context; `terms` of the series; `rate`:
    `eta_t = rate sqrt(t)`.
    """

    gram: np.ndarray
    moment: np.ndarray
    seen: tuple[float, float]
    rounds: int
    total: float
    lower: float
    upper: float
    rate: float

    def __init__(self, actions: int, lower: float, upper: float, terms: int = 6, rate: float = 4.0):
        if not lower < upper:
            raise ValueError(f"the context of ChebCB lies between lower < upper, got {lower} and {upper}.")
        self.gram, self.moment = np.tile(np.eye(terms), (actions, 1, 1)), np.zeros((actions, terms))
        self.seen, self.rounds, self.total = (np.inf, -np.inf), 0, 0.0
        self.lower, self.upper, self.rate = lower, upper, rate

    def predict(self, context: float) -> np.ndarray:
        """The cost expected of each action."""
        coefficients = np.linalg.solve(self.gram, self.moment[:, :, None])[:, :, 0]
        return np.clip(coefficients @ self._features(context), *self.seen) if self.rounds else coefficients[:, 0]

    def probabilities(self, context: float | None = None) -> np.ndarray:
        """As `AbstractBandit`; needs a context."""
        y = self.predict(context)
        scale = self.rounds / self.total if self.rounds else 1.0
        p = 1 / (len(y) + self.rate * np.sqrt(self.rounds) * scale * (y - y.min()))
        best = int(np.argmin(y))
        p[best] += 1 - p.sum()
        return p

    def update(self, action: int, cost: float, context: float | None = None) -> "ChebCB":
        """As `AbstractBandit`; needs a context."""
        features = self._features(context)
        gram, moment = self.gram.copy(), self.moment.copy()
        gram[action] += np.outer(features, features)
        moment[action] += cost * features
        seen = (min(self.seen[0], cost), max(self.seen[1], cost))
        new = (gram, moment, seen, self.rounds + 1, self.total + cost)
        return eqx.tree_at(lambda b: (b.gram, b.moment, b.seen, b.rounds, b.total), self, new)

    def _features(self, context: float) -> np.ndarray:
        x = np.clip(2 * (context - self.lower) / (self.upper - self.lower) - 1, -1, 1)
        return np.cos(np.arange(self.moment.shape[1]) * np.arccos(x))
