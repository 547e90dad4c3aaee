"""Exact minimum-energy labelling of small grids, a whole batch of grids at once.

PuzzleMix asks for the labelling of an 8x8 grid with three labels. The reference calls an
approximate graph-cut solver (gco, alpha-beta swap), one grid after the other on the CPU. Grids this
small are solved exactly by dynamic programming instead: pixels are added in row-major order, and
all that the rest of the grid needs to know are the labels of the last row's worth of pixels, the
frontier: L**W states (3**8 = 6561). Every step is a handful of tensor operations over batch and
states, on any device.
"""

from dataclasses import dataclass

import torch

from ...zoo.errors import UsageError


@dataclass(frozen=True)
class _Sweep:
    """What a forward pass over the grid leaves behind.

    cost: (N, L**W) int32 or int64, the least energy for each state of the last frontier.
    dropped: for each pixel in order, (N, L, L**(W-1)) uint8: the best label of the pixel that left
    the frontier, by the label of the pixel that entered it and the labels of those between.
    """

    cost: torch.Tensor
    dropped: list[torch.Tensor]


def cut_grid(unary: torch.Tensor, down: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Labels that minimise the energy of each grid, exactly.

    The energy of a labelling l is the sum of `unary[r, c, l[r, c]]` over the pixels, plus `weight *
    (difference of labels / (L - 1)) ** 2` over neighbours, with weight `down[r, c]` between (r, c)
    and (r + 1, c), `right[r, c]` between (r, c) and (r, c + 1). Weights may be negative.

    unary: (N, H, W, L) int32. down: (N, H - 1, W) int32. right: (N, H, W - 1) int32. Time and
    memory grow with L**W. Returns (N, H, W) int64 labels in [0, L), on the same device; among equal
    minima, any. Raises `UsageError` for shapes that don't fit together.
    """
    n, h, w, n_labels = unary.shape
    if down.shape != (n, h - 1, w) or right.shape != (n, h, w - 1):
        raise UsageError(
            f"expected weights {(n, h - 1, w)} down and {(n, h, w - 1)} right for costs "
            f"{tuple(unary.shape)}, got {tuple(down.shape)} and {tuple(right.shape)}; "
            "pass the weights of neighbouring pixels."
        )
    # times (L - 1)**2 throughout: quarters become integers
    scale = (n_labels - 1) ** 2
    costs = (unary.long() * scale, down.long(), right.long())
    # on a CPU half the memory is worth a look at the values; elsewhere the look would be a wait
    if unary.device.type == "cpu" and _largest_energy(*costs, scale) < 2**31:
        costs = tuple(cost.int() for cost in costs)
    sweep = _sweep(*costs)
    return _trace_back(sweep, n_labels).view(n, h, w)


def _largest_energy(
    unary: torch.Tensor, down: torch.Tensor, right: torch.Tensor, scale: int
) -> int:
    """A bound on what any part of a sum of costs can reach, in absolute value."""
    weights = down.abs().sum((1, 2)) + right.abs().sum((1, 2))
    return int((unary.abs().amax(-1).sum((1, 2)) + scale * weights).max())


def _sweep(unary: torch.Tensor, down: torch.Tensor, right: torch.Tensor) -> _Sweep:
    """Add the pixels one by one. A frontier state is a number in base L, oldest pixel first."""
    n, h, w, n_labels = unary.shape
    label = torch.arange(n_labels, device=unary.device, dtype=unary.dtype)
    bend = (label[:, None] - label).square()  # (L, L): cost of a pair of labels, per weight
    cost = unary.new_zeros(n, n_labels**w)
    dropped = []
    for r in range(h):
        for c in range(w):
            # above the first row lie imaginary pixels, tied to nothing
            weight = down[:, r - 1, c] if r else down.new_zeros(n)
            best, old = _drop_oldest(cost, weight[:, None, None] * bend)
            dropped.append(old)
            cost = best.transpose(1, 2) + unary[:, r, c, None]  # (N, L**(W-1), L)
            if c:
                cost = cost.reshape(n, -1, n_labels, n_labels)  # last two: left pixel, new pixel
                cost = cost + right[:, r, c - 1, None, None, None] * bend
            cost = cost.reshape(n, -1)
    return _Sweep(cost, dropped)


def _drop_oldest(cost: torch.Tensor, tie: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimise over the label of the frontier's oldest pixel, which only the new pixel still sees.

    cost: (N, L**W). tie: (N, L new, L old), the cost of the pair. Returns the least cost and the
    label it takes, both (N, L new, L**(W-1)), the cost in its dtype, the label uint8.
    """
    n, n_labels, _ = tie.shape
    by_oldest = cost.view(n, n_labels, 1, -1)
    best = by_oldest[:, 0] + tie[:, :, 0, None]
    label = torch.zeros_like(best, dtype=torch.uint8)
    for old in range(1, n_labels):
        candidate = by_oldest[:, old] + tie[:, :, old, None]
        label.masked_fill_(candidate < best, old)
        best = torch.minimum(best, candidate)
    return best, label


def _trace_back(sweep: _Sweep, n_labels: int) -> torch.Tensor:
    """Follow the best choices from the last pixel to the first: (N, H * W) int64 labels."""
    between = sweep.cost.shape[1] // n_labels  # L**(W-1)
    state = sweep.cost.argmin(1)  # (N,)
    rows = torch.arange(len(state), device=state.device)
    labels = []
    for old in reversed(sweep.dropped):
        rest, new = state // n_labels, state % n_labels
        labels.append(new)
        state = old[rows, new, rest].long() * between + rest
    return torch.stack(labels[::-1], dim=1)
