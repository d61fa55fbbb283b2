"""Writes transformers/: small models with random weights as the library transformers saves them, tokens, and what the models make of them.

    pip install torch transformers safetensors && python test/golden/make-transformers.py
"""
import json
import pathlib
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    CLIPConfig,
    CLIPModel,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DynamicCache,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    GenerationMixin,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MarianConfig,
    MarianMTModel,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    MT5Config,
    MT5ForConditionalGeneration,
    Olmo2Config,
    Olmo2ForCausalLM,
    OlmoeConfig,
    OlmoeForCausalLM,
    PegasusConfig,
    PegasusForConditionalGeneration,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    SmolLM3Config,
    SmolLM3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    XLMRobertaConfig,
    XLMRobertaForTokenClassification,
    XLMRobertaModel,
)

folder = pathlib.Path(__file__).parent / "transformers"
torch.manual_seed(0)
tokens = torch.randint(0, 40, (2, 7))
types = (torch.arange(7) > 3).long().expand(2, 7)
seen = torch.arange(7) < torch.tensor([[7], [5]])


def weights(model):
    """Far larger than at a start, so that every part counts."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, 0.1, 0.4)
    return model.eval()


def gradients(model):
    """Under the names that files have, which those of experts in memory are not."""
    with tempfile.TemporaryDirectory() as other:
        state = {key: parameter.grad for key, parameter in model.named_parameters()}
        model.save_pretrained(other, state_dict=state)
        return {f"gradient.{key}": value for key, value in load_file(f"{other}/model.safetensors").items()}


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
    read, following = tokens[:, :-1], tokens[:, 1:].contiguous()
    # How experts are used depends on all tokens that are read, so the last is not.
    routes = hasattr(model.config, "router_aux_loss_coef")
    loss = (model(read, labels=read, shift_labels=following) if routes else model(tokens, labels=tokens)).loss
    loss.backward()
    options = dict(max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=None, use_cache=use_cache)
    greedy = model.generate(tokens[:1, :4], attention_mask=torch.ones(1, 4, dtype=torch.long), **options)[0]
    results = {"logits": logits, "masked": masked, "greedy": greedy.int(), "loss": loss.reshape(1)}
    write(name, model, {"tokens": tokens.int(), "kept": kept, **results, **gradients(model), **more(model)})


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

# Mixtures of experts, on which the loss depends too, and relatives of other scales and norms.
mixture = dict(num_experts_per_tok=2, output_router_logits=True, router_aux_loss_coef=0.1)
small = dict(moe_intermediate_size=8, num_experts=4, decoder_sparse_step=1)
sizes.pop("head_dim")
relative("mixtral", MixtralForCausalLM(MixtralConfig(**sizes, **mixture, num_local_experts=4, sliding_window=5)), seed=1)
shared = dict(shared_expert_intermediate_size=10, mlp_only_layers=[0])
relative("qwen2-moe", Qwen2MoeForCausalLM(Qwen2MoeConfig(**sizes, **mixture, **small, **shared)), seed=8)
relative("qwen3-moe", Qwen3MoeForCausalLM(Qwen3MoeConfig(**sizes, **mixture, **small, head_dim=6, norm_topk_prob=True)), seed=1)
relative("olmoe", OlmoeForCausalLM(OlmoeConfig(**sizes, **mixture | dict(num_experts_per_tok=3), num_experts=5)), seed=1)
relative("olmo2", Olmo2ForCausalLM(Olmo2Config(**sizes)), seed=1)
scales = dict(embedding_multiplier=3.0, attention_multiplier=0.4, residual_multiplier=0.6, logits_scaling=1.7)
relative("granite", GraniteForCausalLM(GraniteConfig(**sizes, **scales)), seed=3)
relative("smollm3", SmolLM3ForCausalLM(SmolLM3Config(**sizes, no_rope_layer_interval=2)), seed=4)

# Relatives of BERT, and their heads. The first sequence is filled up behind its tokens, the second before them. To BERT and DistilBERT no token is for
# padding: its embedding would get no gradient, though the first token is classified.
torch.manual_seed(1)
kept = torch.stack([torch.arange(9) < 6, torch.arange(9) >= 4])
tokens = torch.randint(2, 24, (2, 9))
sizes = dict(vocab_size=24, max_position_embeddings=14, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12)
distil = dict(vocab_size=24, max_position_embeddings=14, dim=8, n_layers=2, n_heads=2, hidden_dim=12, pad_token_id=None)
names = dict(id2label={0: "dull", 1: "funny", 2: "sad"})
labels = {"MaskedLM": torch.where(kept & (tokens % 2 == 0), tokens, -100), "SequenceClassification": torch.tensor([2, 1])}
labels["TokenClassification"] = torch.where(kept, tokens % 3, -100)


def relative_of_bert(name, model):
    """The features and, where there is a head, the logits, the loss of labels and its gradients."""
    model = weights(model)
    padded = torch.where(kept, tokens, model.config.pad_token_id or 0)
    inputs = dict(input_ids=padded, attention_mask=kept.long())
    results = {"tokens": padded.int(), "seen": kept}
    task = type(model).__name__.split("For")[-1]
    encoder = getattr(model, model.base_model_prefix, model)(**inputs)
    results["hidden"] = encoder.last_hidden_state
    if encoder.get("pooler_output") is not None:
        results["pooled"] = encoder.pooler_output
    if task in labels:
        answer = model(**inputs, labels=labels[task])
        answer.loss.backward()
        results |= {"logits": answer.logits, "loss": answer.loss.reshape(1), "labels": labels[task].int()}
        results |= {f"gradient.{key}": parameter.grad for key, parameter in model.named_parameters()}
    write(name, model, results)


relative_of_bert("roberta-masked", RobertaForMaskedLM(RobertaConfig(**sizes, type_vocab_size=1, layer_norm_eps=1e-5)))
relative_of_bert("distilbert-masked", DistilBertForMaskedLM(DistilBertConfig(**distil)))
relative_of_bert("xlm-roberta", XLMRobertaModel(XLMRobertaConfig(**sizes, type_vocab_size=1)))
relative_of_bert("bert-classifier", BertForSequenceClassification(BertConfig(**sizes, **names, pad_token_id=None)))
relative_of_bert("roberta-classifier", RobertaForSequenceClassification(RobertaConfig(**sizes, **names)))
relative_of_bert("distilbert-classifier", DistilBertForSequenceClassification(DistilBertConfig(**distil, **names)))
relative_of_bert("bert-tokens", BertForTokenClassification(BertConfig(**sizes, **names, pad_token_id=None)))
relative_of_bert("xlm-roberta-tokens", XLMRobertaForTokenClassification(XLMRobertaConfig(**sizes, num_labels=3)))

# T5, on sources longer than the largest distance that it tells from others.
source = torch.randint(2, 24, (2, 20))
kept = torch.stack([torch.arange(20) < 17, torch.arange(20) >= 5])
source = torch.where(kept, source, 0)
targets = torch.randint(2, 24, (2, 16))
targets[1, 11:] = -100
started = torch.arange(16) >= torch.tensor([[0], [3]])


def reader(name, model, seed, more=lambda model: {}, **options):
    """The logits and the loss of targets, its gradients, the logits where the first tokens of a target are hidden, and the likeliest targets."""
    torch.manual_seed(seed)
    if name in ("t5-gated", "mt5"):
        model.lm_head.weight = torch.nn.Parameter(torch.empty(24, 8))
    model = weights(model)
    if hasattr(model, "final_logits_bias"):
        torch.nn.init.normal_(model.final_logits_bias)
    inputs = {model.main_input_name: source, "attention_mask": kept.long()}
    answer = model(**inputs, labels=targets)
    answer.loss.backward()
    start = model.config.decoder_start_token_id
    begun = torch.cat([torch.full((2, 1), start), targets.clamp(0)[:, :-1]], 1)
    masked = model(**inputs, decoder_input_ids=begun, decoder_attention_mask=started.long()).logits
    options |= dict(max_new_tokens=14, do_sample=False, eos_token_id=None)
    own = [dict(inputs=source[i : i + 1], attention_mask=kept[i : i + 1].long(), **options) for i in range(2)]
    greedy = torch.cat([GenerationMixin.generate(model, **each) for each in own])
    memory = model.get_encoder()(**inputs).last_hidden_state
    results = {"source": source if source.is_floating_point() else source.int(), "kept": kept, "targets": targets.int(), "begun": begun.int(), "started": started}
    results |= {"memory": memory, "logits": answer.logits, "loss": answer.loss.reshape(1), "masked": masked, "greedy": greedy.int()}
    trained = ((key, parameter) for key, parameter in model.named_parameters() if parameter.requires_grad)
    write(name, model, results | {f"gradient.{key}": parameter.grad for key, parameter in trained} | more(model))


sizes = dict(vocab_size=24, d_model=8, d_kv=6, d_ff=12, num_layers=2, num_heads=2, decoder_start_token_id=0)
sizes |= dict(relative_attention_num_buckets=8, relative_attention_max_distance=12)
gated = dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
reader("t5", T5ForConditionalGeneration(T5Config(**sizes)), seed=2)
reader("t5-gated", T5ForConditionalGeneration(T5Config(**sizes | dict(num_decoder_layers=1), **gated)), seed=3)
reader("mt5", MT5ForConditionalGeneration(MT5Config(**sizes, **gated)), seed=4)

# Relatives of BART. Marian's targets begin with the token that fills up, which it does not write.
sizes = dict(vocab_size=24, max_position_embeddings=24, d_model=8, encoder_layers=2, decoder_layers=1, encoder_ffn_dim=12, decoder_ffn_dim=10)
sizes |= dict(encoder_attention_heads=2, decoder_attention_heads=4, pad_token_id=0, bos_token_id=None, eos_token_id=None, forced_eos_token_id=None)
reader("bart", BartForConditionalGeneration(BartConfig(**sizes, decoder_start_token_id=2)), seed=1)
marian = MarianConfig(**sizes, decoder_start_token_id=0, activation_function="swish", scale_embedding=True)
reader("marian", MarianMTModel(marian), seed=33, bad_words_ids=[[0]])
pegasus = PegasusConfig(**sizes, decoder_start_token_id=0, activation_function="relu", scale_embedding=True)
reader("pegasus", PegasusForConditionalGeneration(pegasus), seed=26)

# CLIP with both ways to find the end of a text, of which one is followed by what fills up, and images that are not squares of whole patches.
tokens = torch.tensor([[22, 3, 7, 9, 23, 4], [22, 5, 5, 23, 23, 23], [22, 8, 23, 1, 0, 2]])
hidden = torch.tensor([[1, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]])
tower = dict(num_hidden_layers=2, num_attention_heads=2)
for name, end, act in [("clip", 2, "quick_gelu"), ("clip-end", 23, "gelu")]:
    torch.manual_seed(5)
    text = dict(tower, vocab_size=24, hidden_size=8, intermediate_size=12, max_position_embeddings=7, hidden_act=act, eos_token_id=end)
    image = dict(tower, image_size=14, patch_size=4, num_channels=2, hidden_size=12, intermediate_size=10, hidden_act=act)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=image, projection_dim=6))
    # Smaller where all images and texts have the same, so that cosines are not all alike.
    for key, parameter in model.named_parameters():
        scales = key.endswith("norm.weight") or "norm1.weight" in key or "norm2.weight" in key
        torch.nn.init.normal_(parameter, float(scales), 0.5 if parameter.dim() > 1 else 0.2)
    torch.nn.init.constant_(model.logit_scale, 1)
    model.eval()
    images = torch.randn(3, 2, 14, 14)
    inputs = dict(input_ids=tokens, pixel_values=images)
    answer = model(**inputs, return_loss=True)
    answer.loss.backward()
    masked = model(**inputs, attention_mask=hidden).logits_per_image
    results = {"tokens": tokens.int(), "kept": hidden.bool(), "images": images, "logits": answer.logits_per_image, "masked": masked}
    results |= {"image": answer.image_embeds, "text": answer.text_embeds, "loss": answer.loss.reshape(1)}
    results |= {"image.plain": model.get_image_features(images).pooler_output, "text.plain": model.get_text_features(tokens).pooler_output}
    write(name, model, results | {f"gradient.{key}": parameter.grad for key, parameter in model.named_parameters()})

distances = torch.arange(-300, 301)
attention = T5ForConditionalGeneration(T5Config(**sizes)).encoder.block[0].layer[0].SelfAttention
buckets = {}
for count, largest in [(32, 128), (8, 12), (64, 300), (32, 100)]:
    for both in (False, True):
        found = attention._relative_position_bucket(distances, both, count, largest)
        buckets[f"{count}.{largest}.{'both' if both else 'before'}"] = found.int()
save_file(buckets, folder / "buckets.safetensors")

# Whisper, which hears all of a source. Recordings are whole 128ths, with silence and with loud parts; of what is heard of them only some frames are kept.
sizes = dict(sizes, num_mel_bins=6, max_source_positions=10, max_target_positions=24, eos_token_id=5)
sizes.pop("max_position_embeddings")
suppressed = dict(suppress_tokens=[2], begin_suppress_tokens=[14])
whisper = WhisperForConditionalGeneration(WhisperConfig(**sizes, **suppressed, decoder_start_token_id=2))
torch.manual_seed(3)
source, kept = torch.randn(2, 6, 20), torch.ones(2, 10, dtype=torch.bool)


def spoken(model):
    """The likeliest targets behind more first tokens, and what is heard of recordings."""
    begin = torch.tensor([[2, 9, 14]])
    options = dict(suppressed, max_new_tokens=14, do_sample=False, eos_token_id=None, decoder_input_ids=begin)
    greedy = torch.cat([GenerationMixin.generate(model, source[i : i + 1], **options) for i in range(2)])
    generator = torch.Generator().manual_seed(0)
    envelope = torch.sin(torch.arange(18000) / 900) ** 2 * (torch.arange(18000) > 4000)
    sound = (torch.randn(2, 18000, generator=generator) * envelope * torch.tensor([[10.0], [40.0]])).round().clamp(-127, 127)
    heard = {}
    for mels, seconds, length, step in [(80, 1, 18000, 2), (128, 1, 16000, 8), (80, 30, 18000, 60)]:
        extract = WhisperFeatureExtractor(feature_size=mels, chunk_length=seconds)
        found = extract((sound[:, :length] / 128).numpy(), sampling_rate=16000, return_tensors="pt").input_features
        heard[f"heard.{mels}.{seconds}"] = found[:, :, ::step]
    return {"spoken": greedy.int(), "sound": sound.to(torch.int8), **heard}


reader("whisper", whisper, seed=277, more=spoken, **suppressed)
