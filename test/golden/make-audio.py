"""Makes test/golden/audio.safetensors with PyTorch (pip install torch safetensors): spectrograms by torch.stft, filter banks, cepstra and resampled sound
by torchaudio's published formulas. Read by test/data/audio.test.ts."""

import math
from pathlib import Path

import torch
from safetensors.torch import save_file

torch.manual_seed(0)
torch.set_num_threads(1)
sound = torch.randn(2, 900, dtype=torch.float64) * torch.linspace(0.1, 1, 900, dtype=torch.float64)
found = {"sound": sound.float()}


def hz_to_mel(f, slaney):
    if not slaney:
        return 2595 * math.log10(1 + f / 700)
    return f / (200 / 3) if f < 1000 else 15 + math.log(f / 1000) / (math.log(6.4) / 27)


def mel_to_hz(m, slaney):
    if not slaney:
        return 700 * (10 ** (m / 2595) - 1)
    return m * 200 / 3 if m < 15 else 1000 * math.exp(math.log(6.4) / 27 * (m - 15))


def bank(n_freqs, n_mels, rate, low, high, slaney, norm):
    freqs = torch.linspace(0, rate // 2, n_freqs, dtype=torch.float64)
    a, b = hz_to_mel(low, slaney), hz_to_mel(high, slaney)
    points = torch.tensor([mel_to_hz(a + (b - a) * i / (n_mels + 1), slaney) for i in range(n_mels + 2)], dtype=torch.float64)
    diff = points[1:] - points[:-1]
    slopes = points[None] - freqs[:, None]
    fb = torch.clamp(torch.minimum(-slopes[:, :-2] / diff[:-1], slopes[:, 2:] / diff[1:]), min=0)
    if norm:
        fb = fb * (2 / (points[2:] - points[:-2]))[None]
    return fb.t()


found["bank-htk"] = bank(101, 20, 8000, 0, 4000, False, False).float()
found["bank-slaney"] = bank(101, 20, 8000, 50, 3500, True, True).float()

spec = torch.stft(sound, 200, 80, window=torch.hann_window(200, dtype=torch.float64), center=True, pad_mode="reflect", return_complex=True).abs() ** 2
mel = bank(101, 20, 8000, 0, 4000, False, False) @ spec
found["mel"] = mel.float()
db = 10 * torch.log10(torch.clamp(mel, min=1e-10))
db = torch.maximum(db, db.amax(dim=(-2, -1), keepdim=True) - 80)
found["decibels"] = db.float()
n = torch.arange(20, dtype=torch.float64)
dct = torch.cos(math.pi / 20 * (n + 0.5) * torch.arange(13, dtype=torch.float64)[:, None]) * math.sqrt(2 / 20)
dct[0] *= 1 / math.sqrt(2)
found["mfcc"] = (dct @ db).float()


def resample(x, orig, new, lpw=6, rolloff=0.99):
    g = math.gcd(orig, new)
    orig, new = orig // g, new // g
    base = min(orig, new) * rolloff
    width = math.ceil(lpw * orig / base)
    idx = torch.arange(-width, width + orig, dtype=torch.float64)[None, None] / orig
    t = (torch.arange(0, -new, -1, dtype=torch.float64)[:, None, None] / new + idx) * base
    t = t.clamp(-lpw, lpw)
    window = torch.cos(t * math.pi / lpw / 2) ** 2
    t = t * math.pi
    kernels = torch.where(t == 0, torch.ones_like(t), t.sin() / t) * window * base / orig
    padded = torch.nn.functional.pad(x, (width, width + orig))
    y = torch.nn.functional.conv1d(padded[:, None], kernels, stride=orig).transpose(1, 2).reshape(x.shape[0], -1)
    return y[..., : math.ceil(new * x.shape[1] / orig)]


for orig, new in [(8000, 16000), (16000, 8000), (44100, 16000)]:
    found[f"resample-{orig}-{new}"] = resample(sound, orig, new).float()

save_file({k: v.contiguous() for k, v in found.items()}, Path(__file__).parent / "audio.safetensors")
