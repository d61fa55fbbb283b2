"""Writes transformers/: small models with random weights as the library transformers saves them, tokens, and what the models make of them.

    pip install torch transformers safetensors && python test/golden/make-transformers.py
"""
import pathlib

import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
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
