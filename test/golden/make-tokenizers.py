"""Makes test/golden/tokenizers with Hugging Face's library (pip install tokenizers): small tokenizers of every kind, what they make of awkward
texts, and what GPT-2's makes of them. Takes the folder that holds GPT-2's encoder.json and vocab.bpe, and one with a text to train on (input.txt).
Read by test/data/tokenizers.test.ts."""

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Regex

gpt2_folder, corpus_folder = map(Path, sys.argv[1:3])
here = Path(__file__).parent / "tokenizers"
here.mkdir(exist_ok=True)
corpus = (corpus_folder / "input.txt").read_text()
lines = corpus[:60_000].splitlines()

texts = [
    "Hello, world!",
    "",
    " ",
    "  two  spaces \n\n and\tlines \r\n",
    "I'll say it's they've we're I'd don't I'M",
    "naïve café e\u0301 Å ﬁ Ⅳ ½ ①",
    "日本語のテキスト and 中文字符",
    "emoji 😀👩‍👩‍👧 flags 🇩🇪",
    "مرحبا שלום हिन्दी ไทย",
    "numbers 3.14159 1,000,000 ٣٤٥",
    "x" * 300,
    "zero\u200bwidth\ufeffbom\u00a0nbsp\u3000wide\u2028line",
    "control\x00\x01\x1f\x85 chars",
    "snake_case camelCase http://a.b/c?d=e&f=g#h",
    "the king is dead . long live the king ? no , n't do not",
    "tab\t\ttab   trailing   ",
    "<unk> [CLS] [MASK] <|endoftext|> </s> the[MASK]king [MASK] x",
]


def cases(tokenizer, specials=True):
    result = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=specials).ids
        result.append({
            "text": text, "ids": ids, "decoded": tokenizer.decode(ids), "all": tokenizer.decode(ids, skip_special_tokens=False),
        })
    return result


def write(name, tokenizer, trainer):
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.save(str(here / f"{name}.json"), pretty=False)
    (here / f"{name}.cases.json").write_text(json.dumps(cases(Tokenizer.from_file(str(here / f"{name}.json")))))


wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
wordpiece.normalizer = normalizers.BertNormalizer(lowercase=True)
wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
wordpiece.decoder = decoders.WordPiece()
wordpiece.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
)
write("wordpiece", wordpiece, trainers.WordPieceTrainer(
    vocab_size=600, special_tokens=["[UNK]", "[CLS]", "[SEP]", AddedToken("[MASK]", lstrip=True, special=True)], show_progress=False))

llama = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
llama.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
llama.decoder = decoders.Sequence([
    decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1, right=0)])
write("llama", llama, trainers.BpeTrainer(
    vocab_size=700, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)], show_progress=False))

unigram = Tokenizer(models.Unigram())
unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
unigram.pre_tokenizer = pre_tokenizers.Metaspace()
unigram.decoder = decoders.Metaspace()
unigram.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
write("unigram", unigram, trainers.UnigramTrainer(
    vocab_size=400, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))

words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
words.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)])
write("words", words, trainers.WordLevelTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False))

suffix = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
suffix.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(behavior="merged_with_previous")])
suffix.decoder = decoders.BPEDecoder()
write("suffix", suffix, trainers.BpeTrainer(
    vocab_size=400, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False))

clip = Tokenizer(models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>"))
clip.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
clip.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(
        Regex(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
    pre_tokenizers.ByteLevel(add_prefix_space=False)])
clip.decoder = decoders.ByteLevel()
clip.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)
write("clip", clip, trainers.BpeTrainer(
    vocab_size=700, special_tokens=["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>",
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))

modern = Tokenizer(models.BPE(ignore_merges=True))
modern.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(
        Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
        "isolated"),
    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
modern.decoder = decoders.ByteLevel()
modern.post_processor = processors.Sequence([
    processors.ByteLevel(trim_offsets=False),
    processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])])
write("modern", modern, trainers.BpeTrainer(
    vocab_size=700, special_tokens=["<|begin|>", "<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))

gpt2 = Tokenizer(models.BPE.from_file(str(gpt2_folder / "encoder.json"), str(gpt2_folder / "vocab.bpe")))
gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
gpt2.decoder = decoders.ByteLevel()
gpt2.add_special_tokens(["<|endoftext|>"])
long_text = corpus[200_000:230_000]
(here / "gpt2.cases.json").write_text(json.dumps(cases(gpt2) + [{"start": 200_000, "length": 30_000, "ids": gpt2.encode(long_text).ids}]))

trained = Tokenizer(models.BPE())
trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trained.train_from_iterator([corpus[:100_000]], trainers.BpeTrainer(
    vocab_size=257 + 300, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
(here / "trained.json").write_text(json.dumps(json.loads(trained.to_str())["model"]["merges"]))
