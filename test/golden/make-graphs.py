"""Makes graphs.safetensors with PyTorch Geometric (pip install torch torch_geometric safetensors): layers for graphs with edges from nodes to themselves,
edges that occur twice, and a node without edges. Names are as in recording.py. Read by test/nn."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch_geometric.nn import GATConv, GATv2Conv, GCNConv, GINConv, GINEConv, SAGEConv

from recording import found, layer

torch.manual_seed(0)
torch.set_num_threads(1)

EDGES = torch.tensor([[0, 1, 2, 3, 3, 1, 2, 1, 2, 0], [1, 0, 1, 1, 2, 3, 2, 0, 0, 0]])
FEATURES = 5


def nodes():
    return torch.randn(6, 3)


def of_edges(*shape):
    return torch.randn(EDGES.shape[1], *shape)


def net():
    return nn.Sequential(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 2))


layer("gcn", GCNConv(3, 2), nodes(), EDGES)
layer("gcn-weights", GCNConv(3, 2), nodes(), EDGES, of_edges().abs())
layer("gcn-no-loops", GCNConv(3, 2, add_self_loops=False), nodes(), EDGES, of_edges().abs())
layer("gcn-sums", GCNConv(3, 2, normalize=False, bias=False), nodes(), EDGES, of_edges())
for name, module in ("gat", GATConv), ("gatv2", GATv2Conv):
    layer(name, module(3, 2, heads=2), nodes(), EDGES)
    layer(f"{name}-mean", module(3, 2, heads=2, concat=False, negative_slope=0.1, bias=False), nodes(), EDGES)
    layer(f"{name}-features", module(3, 2, heads=2, edge_dim=FEATURES), nodes(), EDGES, of_edges(FEATURES))
    layer(f"{name}-no-loops", module(3, 2, heads=2, edge_dim=FEATURES, add_self_loops=False), nodes(), EDGES, of_edges(FEATURES))
layer("gatv2-shared", GATv2Conv(3, 2, heads=2, share_weights=True), nodes(), EDGES)
layer("gin", GINConv(net(), eps=0.3), nodes(), EDGES)
layer("gin-trained", GINConv(net(), train_eps=True), nodes(), EDGES)
layer("gin-features", GINEConv(net(), edge_dim=FEATURES), nodes(), EDGES, of_edges(FEATURES))
for aggregation in "mean", "sum", "max":
    layer(f"sage-{aggregation}", SAGEConv(3, 2, aggr=aggregation), nodes(), EDGES)
layer("sage-normalized", SAGEConv(3, 2, root_weight=False, normalize=True, bias=False), nodes(), EDGES)

save_file(found, Path(__file__).parent / "graphs.safetensors")
