"""JAX: the whole step under `jit`, its old state donated; Optax's Adam."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.contestants.base import Array, Predictor
from benchmarks.contestants.base import Trainer as Base
from benchmarks.workloads import Workload

MOMENTUM, EPS = 0.1, 1e-5  # BatchNorm's


class Trainer(Base):
    """The workload as functions of its state: parameters, running statistics, Adam's moments."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.optimizer = optax.chain(optax.add_decayed_weights(workload.weight_decay), optax.adam(workload.lr))
        params, running = initial(workload)
        self.state = params, running, self.optimizer.init(params), jax.random.key(workload.seed)
        self.train = jax.jit(partial(train, workload, self.optimizer), donate_argnums=0)
        self.forward = jax.jit(lambda params, running, x: forward(workload, params, running, x)[0])

    def put(self, x: Array, y: Array) -> tuple[jax.Array, jax.Array]:
        return jnp.asarray(x), jnp.asarray(y)

    def step(self, x: jax.Array, y: jax.Array) -> jax.Array:
        self.state, loss = self.train(self.state, x, y)
        return loss

    def predictor(self, x: Array) -> Predictor:
        params, running, *_ = self.state
        x = jnp.asarray(x)
        return lambda: np.asarray(self.forward(params, running, x))


def initial(workload: Workload) -> tuple[Any, Any]:
    """Return the parameters and the running statistics, a dictionary for each layer."""
    params = [{"weight": jnp.asarray(weight.T), "bias": jnp.asarray(bias)} for weight, bias in workload.weights()]
    units = workload.sizes[1:-1] if workload.batch_norm else ()
    for layer, count in zip(params, units, strict=False):
        layer |= {"scale": jnp.ones(count), "shift": jnp.zeros(count)}
    return params, [{"mean": jnp.zeros(count), "var": jnp.ones(count)} for count in units]


def train(workload: Workload, optimizer: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
    """Return the next state and the loss."""
    params, running, moments, key = state
    key, masks = jax.random.split(key)

    def loss_of(params: Any) -> Any:
        scores, statistics = forward(workload, params, running, x, masks)
        targets = optax.smooth_labels(jax.nn.one_hot(y, workload.sizes[-1]), workload.label_smoothing)
        return optax.softmax_cross_entropy(scores, targets).mean(), statistics

    (loss, running), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
    updates, moments = optimizer.update(grads, moments, params)
    return (optax.apply_updates(params, updates), running, moments, key), loss


def forward(workload: Workload, params: Any, running: Any, x: jax.Array, key: Any = None) -> Any:
    """Return the scores and the new running statistics; in evaluation mode without a key."""
    *hidden, last = params
    statistics = []
    for number, layer in enumerate(hidden):
        x = x @ layer["weight"] + layer["bias"]
        if workload.batch_norm:
            x, now = batch_norm(x, layer, running[number], training=key is not None)
            statistics.append(now)
        x = jax.nn.relu(x)
        if workload.dropout and key is not None:
            keep = 1 - workload.dropout
            x = jnp.where(jax.random.bernoulli(jax.random.fold_in(key, number), keep, x.shape), x / keep, 0)
    return x @ last["weight"] + last["bias"], statistics


def batch_norm(x: jax.Array, layer: Any, running: Any, training: bool) -> Any:
    """Return the normalised values and the new running statistics."""
    mean, var = (x.mean(0), x.var(0)) if training else (running["mean"], running["var"])
    count = len(x)
    now = {"mean": mean, "var": var * count / max(count - 1, 1)}
    running = {name: (1 - MOMENTUM) * running[name] + MOMENTUM * now[name] for name in now}
    return (x - mean) * jax.lax.rsqrt(var + EPS) * layer["scale"] + layer["shift"], running
