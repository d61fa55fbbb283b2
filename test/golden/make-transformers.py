"""Writes transformers/: small models with random weights as the library transformers saves them, tokens, and what the models make of them.

    pip install torch transformers safetensors && python test/golden/make-transformers.py
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    DynamicCache,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    ViTConfig,
    ViTForImageClassification,
)

folder = pathlib.Path(__file__).parent / "transformers"
torch.manual_seed(0)
tokens = torch.randint(0, 40, (2, 7))
types = (torch.arange(7) > 3).long().expand(2, 7)
seen = torch.arange(7) < torch.tensor([[7], [5]])


def weights(model):
    """Far larger than at a start, so that every part counts."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.1, 0.4)
    return model.eval()


def write(name, model, reference):
    model.save_pretrained(folder / name)
    (folder / name / "generation_config.json").unlink(missing_ok=True)
    save_file({key: value.contiguous() for key, value in reference.items()}, folder / name / "reference.safetensors")


def decoder(name, model):
    model = weights(model)
    logits = model(tokens).logits
    seen = torch.ones(1, 7, dtype=torch.long)
    options = dict(attention_mask=seen, max_new_tokens=9, do_sample=False, pad_token_id=0, eos_token_id=None)
    greedy = model.generate(tokens[:1], **options)[0]
    write(name, model, {"tokens": tokens.int(), "logits": logits, "greedy": greedy.int()})


decoder("gpt2", GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=16, n_embd=16, n_layer=2, n_head=4)))
sizes = dict(vocab_size=40, max_position_embeddings=16, hidden_size=16, num_hidden_layers=2, intermediate_size=24)
decoder("llama", LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, rope_theta=500.0)))

bert = weights(BertForMaskedLM(BertConfig(**sizes, num_attention_heads=4)))
logits = bert(tokens, token_type_ids=types, attention_mask=seen).logits
inputs = {"tokens": tokens.int(), "types": types.int(), "seen": seen}
write("bert-masked", bert, {**inputs, "logits": logits})
encoder = weights(BertModel(BertConfig(**sizes, num_attention_heads=4)))
result = encoder(tokens, token_type_ids=types, attention_mask=seen)
write("bert", encoder, {**inputs, "hidden": result.last_hidden_state, "pooled": result.pooler_output})

sizes = dict(image_size=12, patch_size=4, num_channels=2, hidden_size=16, num_hidden_layers=2, intermediate_size=24)
vit = weights(ViTForImageClassification(ViTConfig(**sizes, num_attention_heads=4, num_labels=5)))
images, larger = torch.randn(3, 2, 12, 12), torch.randn(2, 2, 20, 20)
logits = vit(images).logits
resized = vit(larger, interpolate_pos_encoding=True).logits
write("vit", vit, {"images": images, "logits": logits, "larger": larger, "resized": resized})

# Relatives of Llama, on sequences longer than their windows. Other models above keep their numbers: this comes last.
tokens = torch.randint(0, 40, (2, 12))
kept = torch.arange(12) >= torch.tensor([[0], [3]])


def relative(name, model, more=lambda model: {}, use_cache=True, seed=None):
    """The logits, also where the first tokens are hidden, the gradients of the loss, a continuation, and more."""
    if seed is not None:
        torch.manual_seed(seed)
    model = weights(model)
    logits = model(tokens).logits
    masked = model(tokens, attention_mask=kept.long()).logits
    loss = model(tokens, labels=tokens).loss
    loss.backward()
    gradients = {f"gradient.{key}": parameter.grad for key, parameter in model.named_parameters()}
    options = dict(max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=None, use_cache=use_cache)
    greedy = model.generate(tokens[:1, :4], attention_mask=torch.ones(1, 4, dtype=torch.long), **options)[0]
    results = {"logits": logits, "masked": masked, "greedy": greedy.int(), "loss": loss.reshape(1)}
    write(name, model, {"tokens": tokens.int(), "kept": kept, **results, **gradients, **more(model)})


sizes = dict(vocab_size=40, max_position_embeddings=32, hidden_size=16, num_hidden_layers=2, intermediate_size=24)
sizes |= dict(num_attention_heads=4, num_key_value_heads=2)
sliding = dict(use_sliding_window=True, sliding_window=5, max_window_layers=1)
relative("qwen2", Qwen2ForCausalLM(Qwen2Config(**sizes, tie_word_embeddings=True)))
relative("qwen2-sliding", Qwen2ForCausalLM(Qwen2Config(**sizes, **sliding)))
relative("qwen3", Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=6)))
relative("mistral", MistralForCausalLM(MistralConfig(**sizes, head_dim=6, sliding_window=5)))
relative("llama-biases", LlamaForCausalLM(LlamaConfig(**sizes, head_dim=6, attention_bias=True, mlp_bias=True)))

# The first Llama with its positions scaled, on sequences of more than the 16 positions that it was made for.
tokens = torch.randint(0, 40, (2, 40))
original = dict(original_max_position_embeddings=16)
scalings = {
    "linear": dict(rope_type="linear", factor=4.0),
    "llama3": dict(rope_type="llama3", factor=4.0, low_freq_factor=0.2, high_freq_factor=2.0, **original),
    "dynamic": dict(rope_type="dynamic", factor=4.0),
    "yarn": dict(rope_type="yarn", factor=4.0, **original),
    "yarn-bounds": dict(rope_type="yarn", factor=4.0, beta_fast=2.0, beta_slow=0.1, **original),
    "yarn-exact": dict(rope_type="yarn", factor=4.0, beta_fast=2.0, beta_slow=0.1, truncate=False, **original),
    "yarn-mscale": dict(rope_type="yarn", factor=4.0, mscale=0.7, mscale_all_dim=1.3, **original),
    "yarn-attention": dict(rope_type="yarn", factor=4.0, attention_factor=1.5, **original),
}
reference = {"tokens": tokens.int()}
for name, scaling in scalings.items():
    config = LlamaConfig.from_pretrained(folder / "llama", rope_parameters=dict(scaling, rope_theta=500.0))
    # A model apiece: dynamic positions remember the longest sequence.
    load = lambda: LlamaForCausalLM.from_pretrained(folder / "llama", config=config).eval()
    reference[f"{name}.logits"] = load()(tokens).logits
    greedy = load().generate(tokens[:1, :8], attention_mask=torch.ones(1, 8, dtype=torch.long), max_new_tokens=32,
                             do_sample=False, pad_token_id=0, eos_token_id=None)
    reference[f"{name}.greedy"] = greedy[0].int()
save_file({key: value.contiguous() for key, value in reference.items()}, folder / "scaled.safetensors")
(folder / "scaled.json").write_text(json.dumps(scalings, indent=2) + "\n")

# Smaller relatives, of which each has more that Llama has not. No token is for padding: its embedding would get no gradient.
# With a tied table a token is likeliest to follow itself: seeds are chosen for continuations of several tokens.
tokens = torch.randint(0, 24, (2, 12))
plain = dict(pad_token_id=None, bos_token_id=None, eos_token_id=None)
sizes = dict(vocab_size=24, max_position_embeddings=32, num_hidden_layers=2, intermediate_size=12, **plain)
sizes |= dict(num_attention_heads=2, num_key_value_heads=1)
relative("phi3", Phi3ForCausalLM(Phi3Config(**sizes, hidden_size=12, sliding_window=5, tie_word_embeddings=True)), seed=6)


@torch.no_grad()
def around_original(model):
    """Up to the original context, where other factors hold; and pieces, of which one leads across it."""
    cache = DynamicCache(config=model.config)
    pieces = [model(piece, past_key_values=cache).logits for piece in tokens.split([6, 1, 2, 3], 1)]
    return {"short": model(tokens[:, :8]).logits, "pieces": torch.cat(pieces, 1)}


factors = dict(short_factor=[1.0, 1.5, 2.0], long_factor=[1.5, 3.0, 5.0])
scaling = dict(rope_type="longrope", rope_theta=500.0, partial_rotary_factor=0.75, **factors)
config = Phi3Config(**sizes, hidden_size=16, original_max_position_embeddings=8, rope_parameters=scaling)
# Without caches: with them, transformers 5.18 forgets at the original context what was before, where it means to read it anew.
relative("phi3-longrope", Phi3ForCausalLM(config), around_original, use_cache=False)

sizes |= dict(hidden_size=8, head_dim=6)
relative("gemma", GemmaForCausalLM(GemmaConfig(**sizes)), seed=30)
# Only the eager attention caps scores.
capped = dict(attn_logit_softcapping=3.0, final_logit_softcapping=5.0)
config = Gemma2Config(**sizes, **capped, query_pre_attn_scalar=9, sliding_window=5, attn_implementation="eager")
relative("gemma2", Gemma2ForCausalLM(config), seed=311)
rotary = dict(sliding_attention=dict(rope_type="default", rope_theta=20.0),
              full_attention=dict(rope_type="linear", factor=4.0, rope_theta=500.0))
config = Gemma3TextConfig(**sizes, query_pre_attn_scalar=9, sliding_window=5, sliding_window_pattern=2, rope_parameters=rotary)
relative("gemma3", Gemma3ForCausalLM(config), seed=147)
