"""Tiny models with the architectures, file layouts and kinds of tokenizer of real ones; only the weights are small."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

CONTEXT = 64
GEMMA_SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>")
LLAMA_SPECIALS = ("<unk>", "<s>", "</s>")


def gpt2_tokenizer(texts: Iterable[str], *, n_vocab: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE whose one special token opens, ends and pads, as in GPT-2, GPT-Neo and GPT-NeoX."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    end = "<|endoftext|>"
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=[end],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end, unk_token=end)


def sentencepiece_tokenizer(texts: Iterable[str], *, n_vocab: int, specials: Sequence[str]) -> PreTrainedTokenizerFast:
    """BPE with a mark for spaces and bytes to fall back on, which puts BOS before every text, as in Gemma and Llama.

    Args:
        specials: the special tokens in the order of their ids; "<bos>" or "<s>" is BOS, "<eos>" or "</s>" is EOS. With
            those of Llama a text gets a space of its own before it, as Llama's has.
    """
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    spaces = normalizers.Replace(" ", "▁")
    llama = tuple(specials) == LLAMA_SPECIALS
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if llama else spaces
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"▁?[^▁\w]|▁?\w+|▁+"), "isolated")
    own_space = [decoders.Strip(content=" ", left=1, right=0)] if llama else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *own_space]
    )
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab, special_tokens=[*specials, *byte_tokens], show_progress=False, initial_alphabet=["▁"]
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(special, special=True) for special in specials])
    bos, eos = (next(s for s in specials if s in pair) for pair in (("<bos>", "<s>"), ("<eos>", "</s>")))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    padding = {"pad_token": "<pad>"} if "<pad>" in specials else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, unk_token="<unk>", add_bos_token=True, **padding
    )


#: Family -> special tokens of its tokenizer; None: GPT-2's kind.
FAMILIES: dict[str, Sequence[str] | None] = {
    "gpt_neox": None,
    "gpt2": None,
    "gpt_neo": None,
    "gemma": GEMMA_SPECIALS,
    "gemma2": GEMMA_SPECIALS,
    "llama": LLAMA_SPECIALS,
}


def family_tokenizer(family: str, texts: Iterable[str], *, n_vocab: int) -> PreTrainedTokenizerFast:
    """A tokenizer of the family's kind, trained on `texts`."""
    specials = FAMILIES[family]
    if specials is None:
        return gpt2_tokenizer(texts, n_vocab=n_vocab)
    return sentencepiece_tokenizer(texts, n_vocab=n_vocab, specials=specials)


def tiny_model(
    family: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    n_layers: int = 2,
    d_model: int = 16,
    d_mlp: int | None = None,
    seed: int = 0,
    initializer_range: float = 0.02,
) -> PreTrainedModel:
    """A random model of the family: its real configuration with few dimensions.

    Args:
        d_mlp: four times d_model if not given.
        initializer_range: standard deviation of the weights; the default is that of the real ones, which are wider.
    """
    torch.manual_seed(seed)
    special: dict[str, Any] = {
        "initializer_range": initializer_range,
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    wide = {"hidden_size": d_model, "max_position_embeddings": CONTEXT, **special}
    if family == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(n_embd=d_model, n_layer=n_layers, n_head=2, n_positions=CONTEXT, **_NO_DROPOUT, **special)
        )
    if family == "gpt_neo":
        kinds = [["global", "local"], n_layers // 2] if n_layers > 1 else [["global"], 1]
        return GPTNeoForCausalLM(
            GPTNeoConfig(num_layers=n_layers, num_heads=2, attention_types=[kinds], window_size=32, **wide)
        )
    layers = {
        "num_hidden_layers": n_layers,
        "num_attention_heads": 2,
        "intermediate_size": d_mlp or 4 * d_model,
        **wide,
    }
    if family == "gpt_neox":
        return GPTNeoXForCausalLM(GPTNeoXConfig(**layers))
    if family == "llama":
        return LlamaForCausalLM(LlamaConfig(num_key_value_heads=2, **layers))
    heads = {"num_key_value_heads": 1, "head_dim": 8}
    if family == "gemma":
        return GemmaForCausalLM(GemmaConfig(**layers, **heads))
    return Gemma2ForCausalLM(Gemma2Config(**layers, **heads, query_pre_attn_scalar=8, sliding_window=32))


@torch.no_grad()
def padded_gemma(narrow: PreTrainedModel, wide: PreTrainedModel) -> PreTrainedModel:
    """A wide Gemma that computes what a narrow one does: in the first dimensions of its stream, with zeros in all others.

    RMS norm divides by a root that zeros make smaller, and embeddings are multiplied by the root of the width; the norms'
    gains, which are stored less one, and the embeddings make up for both.
    """
    ratio = (wide.config.hidden_size / narrow.config.hidden_size) ** 0.5
    known = narrow.state_dict()
    for name, weight in wide.state_dict().items():
        value = known[name]
        if name == "model.norm.weight":
            pass  # the last gain makes up for the embeddings as well, which are the unembedding too
        elif name.endswith("norm.weight"):
            value = (1 + value) / ratio - 1
        elif name in ("model.embed_tokens.weight", "lm_head.weight"):
            value = value / ratio
        weight.zero_()
        weight[tuple(slice(size) for size in value.shape)] = value
    return wide


_NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    """Both as a Hugging Face folder: config.json, model.safetensors, tokenizer.json, tokenizer_config.json."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
