"""Writes generation.json: what the library transformers generates with the models in transformers/, which make-transformers.py makes.

    pip install torch transformers safetensors && python test/golden/make-generation.py
"""
import json
import pathlib

import torch
from safetensors.torch import load_file
from transformers import (
    BartForConditionalGeneration,
    GenerationConfig,
    GenerationMixin,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    MarianMTModel,
    T5ForConditionalGeneration,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTimeStampLogitsProcessor,
)

folder = pathlib.Path(__file__).parent
kinds = {
    "gpt2": GPT2LMHeadModel,
    "llama": LlamaForCausalLM,
    "t5": T5ForConditionalGeneration,
    "bart": BartForConditionalGeneration,
    "marian": MarianMTModel,
    "whisper": WhisperForConditionalGeneration,
}
models = {name: kind.from_pretrained(folder / "transformers" / name).eval() for name, kind in kinds.items()}
written = {}


def rounded(chances):
    return [[round(each, 8) for each in row] for row in chances.tolist()]


# What becomes of logits of 12 tokens behind sequences, in the order in which `generate` has it: chances of what is drawn.
torch.manual_seed(0)
logits = (2 * torch.randn(3, 12)).round(decimals=3)
sequences = [[1, 2, 3, 1, 2, 4, 1, 2], [5, 5, 5, 5, 5, 5, 5, 5], [0, 9, 8, 9, 8, 7, 11, 9]]
options = [
    dict(),
    dict(temperature=0.7),
    dict(top_k=4),
    dict(top_p=0.6),
    dict(min_p=0.2),
    dict(min_p=1.0),
    dict(repetition_penalty=1.7),
    dict(repetition_penalty=0.6),
    dict(no_repeat_ngram_size=1),
    dict(no_repeat_ngram_size=2),
    dict(no_repeat_ngram_size=3),
    dict(no_repeat_ngram_size=9),
    dict(temperature=1.6, top_k=7, top_p=0.8, min_p=0.15),
    dict(temperature=0.6, top_p=0.9, min_p=0.1, repetition_penalty=1.4, no_repeat_ngram_size=2),
]
cases = []
for each in options:
    # No `top_k` means 50 of them there.
    config = GenerationConfig(do_sample=True, **{"top_k": 0} | each)
    processors = models["gpt2"]._get_logits_processor(config, input_ids_seq_length=8)
    scores = processors(torch.tensor(sequences), logits.clone())
    cases.append({"options": each, "chances": rounded(scores.softmax(-1))})
written["choices"] = {"logits": logits.tolist(), "sequences": sequences, "cases": cases}

speech = torch.randn(1, 6, 20)
written["speech"] = speech.flatten().tolist()
prompts = {"gpt2": [3, 1, 4, 1, 5], "llama": [3, 1, 4, 1, 5], "whisper": None}
begins = {"whisper": [9, 14]}


def generated(name, **options):
    """New tokens of each result, up to one of `eos_token_id`, and their scores."""
    model = models[name]
    prompt = prompts.get(name, [7, 3, 19, 11, 4, 2])
    stops = options.pop("eos_token_id", None)
    common = dict(do_sample=False, eos_token_id=stops, pad_token_id=0, return_dict_in_generate=True, output_scores=True)
    inputs = speech if prompt is None else torch.tensor([prompt])
    if prompt is not None:
        common["attention_mask"] = torch.ones_like(inputs)
    begun = len(prompt or [])
    if model.config.is_encoder_decoder:
        begin = [model.config.decoder_start_token_id, *begins.get(name, [])]
        common["decoder_input_ids"] = torch.tensor([begin])
        begun = len(begin)
    if name == "marian":
        common["bad_words_ids"] = [[0]]
    if name == "whisper":
        common |= dict(suppress_tokens=[2], begin_suppress_tokens=[14])
    answer = GenerationMixin.generate(model, inputs, **common, **options)
    found = []
    for row, tokens in enumerate(answer.sequences[:, begun:].tolist()):
        ends = [i for i, token in enumerate(tokens) if token in (stops or [])]
        tokens = tokens[: ends[0] + 1] if ends else tokens
        found.append({"tokens": tokens, "score": answer.sequences_scores[row].item()} if "sequences_scores" in answer else {"tokens": tokens})
    return found


penalties = [dict(repetition_penalty=1.5), dict(no_repeat_ngram_size=2), dict(repetition_penalty=1.2, no_repeat_ngram_size=3)]
written["greedy"] = [
    {"model": name, "options": each, "tokens": generated(name, max_new_tokens=10, **each)[0]["tokens"]}
    for name in models for each in penalties
]

# Sequences end at tokens that are likely in the model, though not the likeliest.
searches = [
    dict(num_beams=3),
    dict(num_beams=4, num_return_sequences=3, eos_token_id=1, length_penalty=0.0),
    dict(num_beams=4, num_return_sequences=4, eos_token_id=2, length_penalty=2.0),
    dict(num_beams=3, num_return_sequences=3, eos_token_id=2, early_stopping=True),
    dict(num_beams=3, num_return_sequences=3, eos_token_id=3, early_stopping="never", length_penalty=1.5),
    dict(num_beams=3, num_return_sequences=2, eos_token_id=2, early_stopping="never", length_penalty=-1.0),
    dict(num_beams=3, num_return_sequences=3, eos_token_id=3),
    dict(num_beams=5, num_return_sequences=5, eos_token_id=1, repetition_penalty=1.3, no_repeat_ngram_size=2),
]
written["beams"] = []
for name in models:
    ranked = [each["tokens"][0] for each in generated(name, max_new_tokens=1, num_beams=6, num_return_sequences=6)][1:]
    for each in searches:
        each = dict(each, **{"eos_token_id": ranked[: each["eos_token_id"]]} if "eos_token_id" in each else {})
        written["beams"].append({"model": name, "options": each, "found": generated(name, max_new_tokens=10, **each)})

# The rules for times: tokens from 12 on are times, behind that for none, 11; targets end at 5. Sequences begin with three tokens.
timed = dict(no_timestamps_token_id=11, eos_token_id=5)
torch.manual_seed(1)
ruled = []
for new in [[], [12], [14], [14, 7], [14, 7, 16], [14, 7, 16, 16], [14, 7, 16, 16, 8], [14, 7, 8, 23], [7, 8]]:
    for latest in (1, 4):
        # Some times are likelier than all else together, some are not.
        scores = (2 * torch.randn(2, 24)).round(decimals=3)
        scores[1, 12:] -= 6
        config = GenerationConfig(**timed, max_initial_timestamp_index=latest)
        rules = WhisperTimeStampLogitsProcessor(config, begin_index=3)
        chances = rules(torch.tensor([[2, 9, 14] + new] * 2), scores).softmax(-1)
        ruled.append({"new": new, "latest": latest, "logits": scores.tolist(), "chances": rounded(chances)})
written["times"] = ruled


def rest_is_silence(input_features, seek, seek_num_frames, num_segment_frames, cur_bsz, batch_idx_map):
    """Windows as the original has them, which lets silence follow the recording; the library transformers puts zeros behind what is heard of it."""
    return input_features[:, :, seek[0] : seek[0] + num_segment_frames]


WhisperForConditionalGeneration._get_input_segment = staticmethod(rest_is_silence)
extract = WhisperFeatureExtractor(feature_size=6)
sounds = load_file(folder / "transformers" / "whisper" / "reference.safetensors")["sound"]
frames = sounds.shape[1] // 160
transcripts = []
for recording, options in [(0, dict()), (1, dict()), (0, dict(num_beams=3)), (1, dict(forced_decoder_ids=[[1, 9], [2, 8]]))]:
    padded = torch.cat([sounds[recording] / 128, torch.zeros(3200)])
    features = extract(padded.numpy(), truncation=False, sampling_rate=16000, return_tensors="pt").input_features
    config = GenerationConfig(**timed, pad_token_id=0, decoder_start_token_id=2, max_length=24, max_initial_timestamp_index=3,
                              suppress_tokens=[2, 3], begin_suppress_tokens=[14], return_timestamps=True, **options)
    model = models["whisper"]
    model.generation_config = config
    # What is heard of the silence behind the recording is there, but no window begins in it.
    model._retrieve_max_frames_and_seek = lambda *_, **__: (torch.tensor([frames]), torch.tensor([0]))
    answer = model.generate(features, return_segments=True)
    segments = [
        {"start": float(each["start"]), "end": float(each["end"]), "tokens": each["tokens"].tolist()}
        for each in answer["segments"][0]
    ]
    transcripts.append({"recording": recording, "options": options, "segments": segments})
written["transcripts"] = transcripts

# The language that is heard in a window, a task behind it; and windows that hold no speech.
spoken = dict(is_multilingual=True, lang_to_id={"<|en|>": 6, "<|de|>": 8, "<|fr|>": 9}, task_to_id={"transcribe": 7, "translate": 10})
model = models["whisper"]
languages = []
fallbacks = []
silent = dict(task="transcribe", temperature=(0.0,))
for recording, options in [
    (0, dict(task="transcribe")), (1, dict(task="transcribe")), (1, dict(task="translate")), (0, dict(language="fr")),
    (0, dict(**silent, logprob_threshold=-1.4, no_speech_threshold=0.0)), (1, dict(**silent, logprob_threshold=-1.0, no_speech_threshold=0.068)),
]:
    padded = torch.cat([sounds[recording] / 128, torch.zeros(3200)])
    features = extract(padded.numpy(), truncation=False, sampling_rate=16000, return_tensors="pt").input_features
    model.generation_config = GenerationConfig(
        **timed, **spoken, pad_token_id=0, decoder_start_token_id=2, max_length=24, max_initial_timestamp_index=3, suppress_tokens=[2, 3],
        begin_suppress_tokens=[14], return_timestamps=True)
    model._retrieve_max_frames_and_seek = lambda *_, **__: (torch.tensor([frames]), torch.tensor([0]))
    if options == dict(task="transcribe"):
        logits = model(input_features=features[:, :, :20], decoder_input_ids=torch.tensor([[2]])).logits[0, -1]
        chances = logits[list(spoken["lang_to_id"].values())].softmax(-1)
        languages.append({"recording": recording, "chances": rounded(chances[None])[0]})
    answer = model.generate(features, return_segments=True, **options)
    segments = [
        {"start": float(each["start"]), "end": float(each["end"]), "tokens": each["tokens"].tolist()}
        for each in answer["segments"][0]
    ]
    fallbacks.append({"recording": recording, "options": options, "segments": segments})
written["languages"] = languages
written["fallbacks"] = fallbacks
compressed = []
for tokens, vocabulary in [([7], 24), ([7] * 40, 24), ([1, 2, 3] * 30, 51865), ([i * 7919 % 51865 for i in range(60)], 51865), ([9] * 50, 70000)]:
    ratio = WhisperForConditionalGeneration._retrieve_compression_ratio(torch.tensor(tokens), vocabulary)
    compressed.append({"tokens": tokens, "vocabulary": vocabulary, "ratio": ratio})
written["compressed"] = compressed

# Targets of a window of so many frames, cut into segments, and by how many frames the next window is behind it.
cut = []
for tokens in [[12, 7], [12, 7, 8, 16], [14, 7, 16, 16], [12, 7, 16, 16, 8, 9], [13, 7, 16, 17, 8, 20], [12, 7, 15, 15, 8, 18, 19, 9, 20, 21],
               [14, 7, 16, 16, 8, 18, 18, 9], [14], [14, 7, 12]]:
    for rest in (20, 13):
        segments, move = WhisperForConditionalGeneration._retrieve_segment(
            seek_sequence=torch.tensor(tokens), seek_outputs=[None], time_offset=torch.zeros(1, dtype=torch.float64), timestamp_begin=12,
            seek_num_frames=torch.tensor([rest]), time_precision=0.02, time_precision_features=0.01, input_stride=2, prev_idx=0, idx=0,
            return_token_timestamps=False, decoder_input_ids=torch.zeros(1, 3))
        found = [{"start": float(each["start"]), "end": float(each["end"]), "tokens": each["tokens"].tolist()} for each in segments]
        cut.append({"tokens": tokens, "rest": rest, "segments": found, "move": int(move)})
written["segments"] = cut

(folder / "generation.json").write_text(json.dumps(written) + "\n")
