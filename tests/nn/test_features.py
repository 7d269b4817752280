import pytest
import torch
from graph_data import graph

from gia.nn import EdgeEncoder, EncodingEncoder, LaplacianEncoder, NodeEncoder
from gia.nn.encoder.features import MOST_KINDS, Features

ENCODINGS = {"random_walk_pe": 3, "laplacian_eigenvector_pe": 2}


def test_embeddings_of_all_columns_add_up():
    features = Features(8, categories=[5, 3])
    x = torch.tensor([[4, 2], [0, 0], [4, 0]])
    table = features.embedding.weight
    expected = table[x[:, 0]] + table[5 + x[:, 1]]
    torch.testing.assert_close(features(x, 3), expected)


@pytest.mark.parametrize("categories", [[5, 3, 2], [7], []])
def test_kinds_are_the_same_vectors(categories):
    features = Features(8, categories=categories)
    columns = [torch.randint(0, size, (20,)) for size in categories]
    x = torch.stack(columns, dim=1) if columns else None
    rows, kind = features.of_kinds(x, 20)
    torch.testing.assert_close(rows[kind], features(x, 20))
    assert features.of_kinds(None if x is None else x[:0], 0)[1].numel() == 0


def test_what_has_no_kinds_is_computed_one_by_one():
    x = torch.zeros(4, 2, dtype=torch.long)
    many = Features(8, categories=[MOST_KINDS, 2])
    assert many.of_kinds(x, 4)[1] is None
    torch.testing.assert_close(many.of_kinds(x, 4)[0], many(x, 4))
    numbers = Features(8, channels=3)
    assert numbers.of_kinds(torch.randn(4, 3), 4)[1] is None


def test_where_nothing_is_known_there_is_one_trained_vector():
    out = EdgeEncoder(8)(graph(5, 6, edge_categories=[]))
    assert (out == out[0]).all()
    out.sum().backward()
    nodes = NodeEncoder(8)
    data = graph(5, 6)
    del data.x
    assert nodes(data).shape == (5, 8)


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("value", [-1, 7])
def test_unseen_categories_are_named(column, value):
    features = Features(8, categories=[5, 3])
    x = torch.zeros(4, 2, dtype=torch.long)
    x[2, column] = value
    known = [5, 3][column] - 1
    message = f"column {column} holds the category {value}, .* categories 0 to {known}"
    with pytest.raises(ValueError, match=message):
        features(x, 4)
    with pytest.raises(ValueError, match=message):
        features.of_kinds(x, 4)


def test_other_columns_are_named():
    with pytest.raises(ValueError, match=r"categories or numbers, got categories=\[3\] and chann"):
        Features(8, categories=[3], channels=2)
    for features, kind in (
        (Features(8, categories=[5, 3]), "categorical"),
        (Features(8, channels=2), "continuous"),
    ):
        with pytest.raises(ValueError, match=f"2 {kind} columns, the data has 3"):
            features(torch.zeros(4, 3, dtype=torch.long), 4)
        with pytest.raises(ValueError, match=f"2 {kind} columns, the data has none"):
            features(None, 4)
    with pytest.raises(ValueError, match="categories, which are integers, got"):
        Features(8, categories=[5, 3])(torch.zeros(4, 2), 4)
    for name in ENCODINGS:
        encoder = NodeEncoder(8, categories=[5, 3], encodings={name: 4})
        with pytest.raises(ValueError, match=f"takes 4 columns of {name}, the data has"):
            encoder(graph(5, 6))
        data = graph(5, 6)
        del data[name]
        with pytest.raises(ValueError, match=f"takes 4 columns of {name}, the data has none"):
            encoder(data)


def test_signs_of_eigenvectors_do_not_matter():
    """To the last bit, whichever of them are turned."""
    encoder = LaplacianEncoder(4, 16)
    vectors = torch.randn(30, 4)
    before = encoder(vectors)
    for turned in (-vectors, vectors * torch.tensor([1.0, -1.0, -1.0, 1.0])):
        assert torch.equal(encoder(turned), before)
    assert not torch.allclose(encoder(2 * vectors), before)
    assert not torch.allclose(encoder(vectors[:, [1, 0, 2, 3]]), before)


def test_positions_enter():
    data = graph(6, 5)
    encoder = NodeEncoder(8, categories=[5, 3], encodings=ENCODINGS)
    before = encoder(data)
    for name in ENCODINGS:
        changed = data.clone()
        changed[name] = changed[name].flip(0)
        assert not torch.allclose(encoder(changed), before)


def test_columns_without_a_second_dimension_are_one():
    features = Features(8, channels=1)
    torch.testing.assert_close(features(torch.ones(4), 4), features(torch.ones(4, 1), 4))


def test_tokens_and_features_add_up():
    data = graph(6, 5)
    data.token = torch.arange(6)
    encoder = NodeEncoder(8, tokens=9, categories=[5, 3])
    expected = encoder.token.weight[:6] + encoder.features(data.x, 6)
    torch.testing.assert_close(encoder(data), expected)
    assert NodeEncoder(8, tokens=9).features is None
    del data.token
    with pytest.raises(ValueError, match="reads symbols, but the data has no token"):
        encoder(data)


def test_another_encoding_is_a_name_and_at_most_a_module():
    data = graph(6, 5)
    data.my_pe = torch.randn(6)  # one column
    encoder = NodeEncoder(8, categories=[5, 3], encodings={"my_pe": 1})
    assert isinstance(encoder.encodings["my_pe"], EncodingEncoder)
    other = NodeEncoder(
        8, categories=[5, 3], encodings={"my_pe": 1}, encoders={"my_pe": torch.nn.Linear}
    )
    assert isinstance(other.encodings["my_pe"], torch.nn.Linear)
    assert encoder(data).shape == other(data).shape == (6, 8)


def test_what_training_has_hardly_seen_rules_nothing():
    """A column that is 0 but for one node in ten thousand is dozens of spreads away from it."""
    torch.manual_seed(0)
    encoder = EncodingEncoder(2, 16).train()
    seen = torch.rand(10_000, 2)
    seen[:, 1] = 0
    seen[0, 1] = 0.01
    for _ in range(100):  # for the running statistics
        encoder(seen)
    encoder.eval()
    rare, common = torch.tensor([[0.5, 0.25]]), torch.tensor([[0.5, 0.0]])
    assert encoder.norm(rare)[0, 1] > 40
    apart = (encoder(rare) - encoder(common)).norm()
    assert apart < 3.1 * encoder.lin.weight[:, 1].norm()
    assert encoder(1e30 * rare).isfinite().all()


def test_what_is_usual_is_as_it_was():
    encoder = EncodingEncoder(3, 8).eval()
    encoding = 0.1 * torch.randn(20, 3)
    torch.testing.assert_close(
        encoder(encoding), encoder.lin(encoder.norm(encoding)), rtol=0.01, atol=1e-3
    )


def test_dropout_is_on_the_sum():
    encoder = NodeEncoder(64, categories=[5, 3], encodings=ENCODINGS, dropout=0.5)
    assert 0.3 < (encoder(graph(20, 30)) == 0).float().mean() < 0.7
