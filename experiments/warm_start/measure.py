"""What a head start saves, by `python experiments/warm_start/measure.py`: counts along six sequences, a picture.

Each problem of a sequence is solved from the same start ("cold"), from the solution before ("latest"), from the line
through the last two ("secant"), and for fixed points with what the iteration remembers as well ("memory"). `gap`: the
largest distance of the last solution to that of the cold sequence.
"""

import time
from pathlib import Path

import matplotlib.pyplot as plt
from sequences import cases


def follow(solve, what, parameters, first, predictor):
    """Counts of the solves after the first one; a parameter of `None` stands for the solution before."""
    path, counts, state, before = [], [], None, first
    for i, parameter in enumerate(parameters):
        guess = predictor(path, i) if predictor and path else None
        solution = solve(before if parameter is None else parameter, guess, state)
        assert solution.ok, (parameter, solution.result)
        state, before = solution.state, solution.value
        path.append((i, solution.value))
        counts.append(int(solution.stats[what]))
    return counts[1:], before.values


if __name__ == "__main__":
    counts, ends = {}, {}
    for (case, kind), (pair, values, first, predictor) in cases().items():
        begun = time.process_time()
        found, end = follow(*pair, values, first, predictor)
        counts.setdefault(case, {})[kind], ends[case] = found, ends.get(case, end)
        share, gap = sum(found) / sum(counts[case]["cold"]), abs(end - ends[case]).max()
        print(
            f"{case:40} {kind:15} {sum(found):5} {share:.3f} {time.process_time() - begun:5.1f} s, gap {gap:.0e}",
            found,
            flush=True,
        )
    figure, panels = plt.subplots(2, 3, figsize=(11, 5.5), layout="constrained")
    for panel, (case, kinds) in zip(panels.ravel(), counts.items(), strict=True):
        for kind, found in kinds.items():
            panel.plot(range(1, len(found) + 1), found, "--" if "memory" in kind else "-", marker=".", label=kind)
        panel.set(title=case, ylim=(0, None), ylabel="Krylov steps" if "Newton" in case else "applications")
        panel.title.set_fontsize(9)
    panels[0, 1].legend(fontsize=8, loc="lower left")
    figure.supxlabel("number of the problem in its sequence")
    figure.savefig(Path(__file__).parent / "counts.png", dpi=80)
