"""How much each member of a blend counts, by what they say of the validation part together."""

from collections.abc import Iterator

import torch
from torch_geometric.data import Batch

from gia.data import DataModule
from gia.tasks.prediction import Prediction

PARTS = 12  # of which the members share out: a third or a quarter of them is a whole number
BLOCKS = 10  # of the validation part, whose differences say how sure a better loss is
FEWEST = 20  # graphs below which nothing is to be learned of them


def shares_by_validation(task: Prediction, data: DataModule) -> list[int]:
    """How many of :data:`PARTS` each member of the task's ensemble should count.

    Of all ways to share them out it is the one with the least loss on the validation part, if that
    is less than with equal shares by more than a standard error over blocks of that part; else
    equal shares. After `"Ensemble selection from libraries of models"
    <https://doi.org/10.1145/1015330.1015432>`_, where members are drawn with replacement, too.

    Args:
        task (Prediction): Whose model is an :class:`gia.nn.Ensemble` of at most six members.
        data (DataModule): Its data.
    """
    members = len(task.model.members)
    equal = equal_shares(members)
    graphs = list(data.val_data)
    if len(graphs) < FEWEST or PARTS % members:
        return equal
    training = task.training
    task.eval().model.counts = [1] * members
    ways = [equal, *_ways(members, PARTS)]
    losses = []
    with torch.no_grad():
        for block in range(BLOCKS):
            batch = Batch.from_data_list(graphs[block::BLOCKS]).to(task.device)
            answers = task.answers(batch)
            repeats = torch.tensor(ways, device=answers.device)
            together = (task.combined(answers.repeat_interleave(way, 0)) for way in repeats)
            losses.append(torch.stack([task.loss_of(output, batch) for output in together]))
    task.train(training)
    loss = torch.stack(losses).double().cpu()  # [blocks, ways]
    loss = loss[loss.isfinite().all(1)]
    if len(loss) < 2:
        return equal
    best = int(loss.mean(0).argmin())
    gain = loss[:, 0] - loss[:, best]
    return ways[best] if gain.mean() > gain.std() / len(gain) ** 0.5 else equal


def equal_shares(members: int) -> list[int]:
    """Those of members that count alike."""
    return [PARTS // members] * members


def _ways(members: int, parts: int) -> Iterator[list[int]]:
    """All ways to share out so many parts among members."""
    if members == 1:
        yield [parts]
        return
    for own in range(parts + 1):
        for others in _ways(members - 1, parts - own):
            yield [own, *others]
