"""What one intervention changes above it: run once plain and once steered, and compare every later layer.

Layers that have a dictionary are compared feature by feature; all of them by how far the stream has moved, and whether every
prompt is moved the same way. What changes at the intervention's own hook is what was done; what changes above is its effect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from helpers.models import hook_layer, require_hook
from helpers.saes import LoadedSae
from helpers.steering.effects.layer_effects import FeatureChanges, LayerEffect
from helpers.steering.effects.saving import load_result, save_result
from helpers.steering.feature_edits import decoder_rows, require_plain_sae
from helpers.steering.hooking import Setting, as_setting
from helpers.steering.interventions import Intervention
from helpers.steering.prompts import At, Prompts, steered_columns
from helpers.steering.running import BATCH_SIZE, SteeredPart, steered_parts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_KIND = "downstream effect"
_FEATURE_ENTRIES = 1 << 24  # rows x features encoded at once: 64 MiB


@dataclass(frozen=True, eq=False)
class DownstreamEffect:
    """What an intervention changes at later layers and in what the model says.

    Shapes:
        logit_changes: (d_vocab,) mean over prompts of the steered minus the plain logits, each with its mean over the
            vocabulary taken off, as a shift of all logits says nothing.
    Args:
        layers: in the model's order.
        divergence: mean over prompts of KL(plain, steered) of the next token, in nats.
        answers_changed: share of prompts whose likeliest next token changes.
        n_prompts, n_rows: prompts, and tokens of theirs that are compared.
    """

    layers: tuple[LayerEffect, ...]
    logit_changes: Float[np.ndarray, " d_vocab"]
    divergence: float
    answers_changed: float
    n_prompts: int
    n_rows: int

    def top_tokens(self, n: int = 10, *, falling: bool = False) -> Int[np.ndarray, " n"]:
        """The tokens whose logits rise most, or fall most."""
        return np.argsort(self.logit_changes if falling else -self.logit_changes, kind="stable")[:n]

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        arrays = {"logit_changes": self.logit_changes}
        for number, layer in enumerate(self.layers):
            if layer.features is not None:
                arrays |= {f"{number}.{name}": array for name, array in vars(layer.features).items()}
        told = {
            "layers": [layer.told() for layer in self.layers],
            "numbers": {name: getattr(self, name) for name in ("divergence", "answers_changed", "n_prompts", "n_rows")},
        }
        save_result(path, kind=_KIND, arrays=arrays, told=told)

    @classmethod
    def load(cls, path: str | Path) -> DownstreamEffect:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, or another kind of file.
        """
        saved = load_result(path, kind=_KIND)
        features: dict[int, dict[str, np.ndarray]] = defaultdict(dict)
        for name, array in saved.arrays.items():
            number, dot, entry = name.partition(".")
            if dot:
                features[int(number)][entry] = array
        layers = tuple(
            LayerEffect(**told, features=FeatureChanges(**features[number]) if number in features else None)
            for number, told in enumerate(saved.told["layers"])
        )
        return cls(layers=layers, logit_changes=saved.arrays["logit_changes"], **saved.told["numbers"])


def downstream_effect(
    model: TransformerBridge,
    prompts: Prompts,
    setting: Intervention | Sequence[Intervention],
    dictionaries: Sequence[LoadedSae] = (),
    *,
    at: At = "last",
    batch_size: int = BATCH_SIZE,
) -> DownstreamEffect:
    """Compare plain and steered runs of the same prompts, from the intervention's layer up.

    Args:
        setting: one intervention, or several that are made together.
        dictionaries: of the intervention's layer or later ones, at most one a hook. Layers without one are compared by the
            stream after them alone.
        at: tokens of the prompts that are compared: the last, from which the next is predicted, or others.
        batch_size: rows a forward pass.
    Raises:
        ValueError: no intervention, one that is in no layer, a dictionary that is of an earlier layer, of a hook that another
            has, or scales its input, no token to compare, or what `steered_parts` refuses.
    """
    made = as_setting(setting)
    chosen = steered_columns(prompts, at)
    if not made or not chosen.any():
        raise ValueError(
            f"expected an intervention, and tokens of the prompts at {at!r}; got {len(made)} and {chosen.sum()}"
        )
    dictionary_of = _by_hook(model, made, dictionaries)
    hook_names = _hooks_from(model, made, dictionary_of)
    sums = {name: _LayerSums(name, dictionary_of.get(name)) for name in hook_names}
    said = _SaidSums(model.cfg.d_vocab)
    for plain, steered in _both(
        steered_parts(model, prompts, [(), made], hook_names=hook_names, batch_size=batch_size)
    ):
        said.add(plain.logits, steered.logits)
        for name in hook_names:
            sums[name].add(*(_rows(part, name, chosen) for part in (plain, steered)))
    first = sums[_stream_after(_lowest_layer(made))].moved
    return DownstreamEffect(
        layers=tuple(sums[name].result(first) for name in hook_names),
        logit_changes=said.changes / prompts.n_prompts,
        divergence=max(0.0, said.divergence / prompts.n_prompts),
        answers_changed=said.n_changed / prompts.n_prompts,
        n_prompts=prompts.n_prompts,
        n_rows=int(chosen.sum()),
    )


def _by_hook(model: TransformerBridge, setting: Setting, dictionaries: Sequence[LoadedSae]) -> dict[str, LoadedSae]:
    lowest = _lowest_layer(setting)
    found: dict[str, LoadedSae] = {}
    for loaded in dictionaries:
        require_plain_sae(loaded)
        require_hook(model, loaded.hook_name)
        if hook_layer(loaded.hook_name) < lowest:
            raise ValueError(
                f"dictionaries are of layer {lowest}, where the intervention is, or later ones; got one of "
                f"{loaded.hook_name}, where nothing changes"
            )
        if loaded.hook_name in found:
            raise ValueError(f"expected one dictionary a hook; got two of {loaded.hook_name}; compare them one by one")
        found[loaded.hook_name] = loaded
    return found


def _hooks_from(model: TransformerBridge, setting: Setting, dictionary_of: dict[str, LoadedSae]) -> list[str]:
    """The stream after every layer from the intervention's on, and where the dictionaries are, in the model's order."""
    after = [_stream_after(layer) for layer in range(_lowest_layer(setting), model.cfg.n_layers)]
    others = [name for name in dictionary_of if name not in after]
    return sorted([*others, *after], key=hook_layer)  # stable: within a layer its own stream comes last


def _lowest_layer(setting: Setting) -> int:
    return min(hook_layer(each.hook_name) for each in setting)


def _stream_after(layer: int) -> str:
    return f"blocks.{layer}.hook_resid_post"


def _both(parts: Iterator[SteeredPart]) -> Iterator[tuple[SteeredPart, SteeredPart]]:
    """Plain and steered parts of the same prompts; they come one after the other, in any order."""
    waiting: SteeredPart | None = None
    for part in parts:
        if waiting is None:
            waiting = part
            continue
        yield (waiting, part) if waiting.setting == 0 else (part, waiting)
        waiting = None


def _rows(part: SteeredPart, hook_name: str, chosen: Bool[np.ndarray, "n_prompts n_columns"]) -> Tensor:
    activations = part.activations[hook_name]
    if activations.ndim != 3:
        raise ValueError(
            f"expected one vector a token at '{hook_name}'; got {tuple(activations.shape)}; take another hook"
        )
    return activations[torch.from_numpy(chosen[part.prompts]).to(activations.device)].float()


@dataclass
class _SaidSums:
    """Sums over prompts of what changes in the logits."""

    d_vocab: int
    changes: np.ndarray = field(init=False)
    divergence: float = 0.0
    n_changed: int = 0

    def __post_init__(self) -> None:
        self.changes = np.zeros(self.d_vocab)

    def add(self, plain: Tensor, steered: Tensor) -> None:
        plain, steered = plain.double(), steered.double()
        change = steered - plain
        self.changes += (change - change.mean(dim=1, keepdim=True)).sum(dim=0).cpu().numpy()
        log_plain, log_steered = plain.log_softmax(dim=1), steered.log_softmax(dim=1)
        self.divergence += float((log_plain.exp() * (log_plain - log_steered)).sum())
        self.n_changed += int((plain.argmax(dim=1) != steered.argmax(dim=1)).sum())


@dataclass
class _LayerSums:
    """Sums over rows of what changes at one hook."""

    hook_name: str
    loaded: LoadedSae | None
    n_rows: int = 0
    length_plain: float = 0.0
    length_moved: float = 0.0
    moved: np.ndarray = field(default_factory=lambda: np.zeros(1))
    features: np.ndarray | None = None

    def add(self, plain: Tensor, steered: Tensor) -> None:
        moved = (steered - plain).double()
        self.n_rows += len(plain)
        self.length_plain += float(plain.double().norm(dim=1).sum())
        self.length_moved += float(moved.norm(dim=1).sum())
        self.moved = self.moved + moved.sum(dim=0).cpu().numpy()
        if self.loaded is not None and len(plain):
            step = max(1, _FEATURE_ENTRIES // self.loaded.sae.cfg.d_sae)
            for rows in zip(plain.split(step), steered.split(step), strict=True):
                sums = _feature_sums(self.loaded, *rows)
                self.features = sums if self.features is None else self.features + sums

    def result(self, first: np.ndarray) -> LayerEffect:
        length = float(np.linalg.norm(self.moved))
        lengths = length * float(np.linalg.norm(first)) if first.shape == self.moved.shape else 0.0
        return LayerEffect(
            hook_name=self.hook_name,
            plain_norm=self.length_plain / self.n_rows,
            moved_norm=self.length_moved / self.n_rows,
            alignment=length / self.length_moved if self.length_moved else 0.0,
            cosine_to_first=float(self.moved @ first) / lengths if lengths else 0.0,
            features=self._feature_changes(),
        )

    def _feature_changes(self) -> FeatureChanges | None:
        if self.loaded is None or self.features is None:
            return None
        rows = decoder_rows(self.loaded, torch.arange(self.loaded.sae.cfg.d_sae)).detach()
        means = self.features / self.n_rows
        norms = rows.double().norm(dim=1).cpu().numpy()
        return FeatureChanges(means[0], means[1], means[2], means[3], means[4], norms)


@torch.no_grad()
def _feature_sums(loaded: LoadedSae, plain: Tensor, steered: Tensor) -> Float[np.ndarray, "5 d_sae"]:
    """Sums over rows: both activations, both firings, and the size of the change."""
    acts = [loaded.sae.encode(rows.to(loaded.sae.W_dec)).double() for rows in (plain, steered)]
    sums = [*acts, *((each > 0).double() for each in acts), (acts[1] - acts[0]).abs()]
    return torch.stack([each.sum(dim=0) for each in sums]).cpu().numpy()
