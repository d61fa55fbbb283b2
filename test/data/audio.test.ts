// Audio features: against torch.stft and torchaudio's formulas (golden/make-audio.py).
import { join } from 'node:path';

import { data, io, ones, zeros, type AnyTensor } from '../../lib/index';
import { expectNear } from '../golden/golden';

const { audio, Random } = data;
let golden: Record<string, AnyTensor>;
beforeAll(async () => {
  golden = await io.readSafetensors(join(__dirname, '../golden/audio.safetensors'));
});
const mel = { sampleRate: 8000, frame: 200, hop: 80, mels: 20 } as const;

test('mel filter banks', () => {
  expectNear(audio.melFilterBank(101, { sampleRate: 8000, mels: 20 }), golden['bank-htk']!, 'htk');
  const slaney = { sampleRate: 8000, mels: 20, lowest: 50, highest: 3500, scale: 'slaney', normalize: true } as const;
  expectNear(audio.melFilterBank(101, slaney), golden['bank-slaney']!, 'slaney');
});

test('mel spectrogram, decibels and cepstra, of a batch and of one recording', () => {
  const sound = golden['sound']!;
  const power = audio.melSpectrogram(sound, mel);
  expectNear(power, golden['mel']!, 'mel', 1e-5);
  expectNear(audio.toDecibels(power, { range: 80 }), golden['decibels']!, 'decibels', 1e-5);
  expectNear(audio.mfcc(sound, { ...mel, coefficients: 13 }), golden['mfcc']!, 'mfcc', 1e-5);
  expectNear(
    audio.melSpectrogram(sound.select(0, 1) as AnyTensor, mel),
    golden['mel']!.select(0, 1) as AnyTensor,
    'one',
    1e-5,
  );
});

test.each([
  [8000, 16000],
  [16000, 8000],
  [44100, 16000],
])('resampling from %i to %i', (from, to) => {
  const sound = golden['sound']!;
  expectNear(audio.resample(sound, from, to), golden[`resample-${from}-${to}`]!, 'resampled', 1e-5);
  expect(audio.resample(sound.select(0, 0) as AnyTensor, from, to).shape).toEqual([Math.ceil((900 * to) / from)]);
  expect(audio.resample(sound, from, from)).toBe(sound);
});

test('SpecAugment silences whole bands, which a seed decides', () => {
  const augment = audio.specAugment({ frequencyWidth: 6, timeWidth: 10, value: -1 });
  const x = ones([50, 1, 20, 30]);
  const y = augment(x, new Random(1));
  expect(y.toArraySync()).toEqual(augment(x, new Random(1)).toArraySync());
  const images = y.toArraySync() as number[][][][];
  let masked = 0;
  for (const [rows] of images) {
    const rowMasked = rows!.map((row) => row.every((value) => value === -1));
    const columnMasked = rows![0]!.map((_, t) => rows!.every((row) => row[t] === -1));
    rows!.forEach((row, f) =>
      row.forEach((value, t) => expect(value).toBe(rowMasked[f]! || columnMasked[t]! ? -1 : 1)),
    );
    expect(rowMasked.filter(Boolean).length).toBeLessThanOrEqual(10);
    expect(columnMasked.filter(Boolean).length).toBeLessThanOrEqual(18);
    masked += rows!.flat().filter((value) => value === -1).length;
  }
  // Two bands of 2.5 frequencies on average and two stretches of 4.5 frames.
  expect(masked / (50 * 600)).toBeGreaterThan(0.25);
  expect(masked / (50 * 600)).toBeLessThan(0.6);
});

test.each<[() => unknown, string]>([
  [() => audio.resample(zeros([3]), 0, 8000), 'resample: from: got 0, expected an integer of at least 1'],
  [
    () => audio.resample(zeros([3], { dtype: 'int16' }), 1, 2),
    'resample: waveform: got int16, expected a floating dtype',
  ],
  [
    () => audio.melSpectrogram(zeros([100]), mel),
    'melSpectrogram: waveform: got 100 samples, expected more than 100, half a frame',
  ],
  [
    () => audio.melFilterBank(10, { sampleRate: 8000, highest: 5000 }),
    'melFilterBank: lowest and highest: got 0 and 5000, expected a range from 0 to 4000',
  ],
  [
    () => audio.mfcc(zeros([900]), { ...mel }),
    'mfcc: coefficients: got 40, expected at most 20, one for each mel band',
  ],
  [
    () => audio.specAugment()(zeros([3, 4]), new Random(0)),
    'specAugment: got shape [3, 4], expected [n, …, frequencies, frames]',
  ],
])('%#: refuses: %s', (act, message) => {
  expect(act).toThrow(new Error(message));
});
