// The power spectrogram: frames of a waveform under Hann's window, and the squared magnitude of their Fourier transforms as a product with the transform's
// matrix.

import { tensor } from '../../ops/creation';
import { matmul } from '../../ops/matmul';
import { pad, stack } from '../../ops/movement';
import type { AnyTensor } from '../../tensor/tensor';

/** [..., time] → [..., frame / 2 + 1, frames]: |DFT(w · x)|², frames centred on every `hop`-th sample, the ends mirrored. */
export function powerSpectrogram(waveform: AnyTensor, frame: number, hop: number): AnyTensor {
  const outer = waveform.shape.slice(0, -1);
  const time = waveform.shape.at(-1)!;
  const rows = outer.reduce((product, size) => product * size, 1);
  const half = Math.floor(frame / 2);
  const padded = pad(waveform.reshape([rows, time]) as AnyTensor, [[half, half]], { mode: 'reflect' }) as AnyTensor;
  const count = 1 + Math.floor((padded.shape[1]! - frame) / hop);
  const frames = stack(
    Array.from({ length: count }, (_, i) => padded.narrow(1, i * hop, frame) as AnyTensor),
    2,
  ); // [rows, frame, count]
  const [real, imaginary] = transforms(frame).map((matrix) =>
    matmul(tensor(matrix, { shape: [half + 1, frame] }).to(waveform.dtype) as AnyTensor, frames),
  ) as [AnyTensor, AnyTensor];
  return real
    .square()
    .add(imaginary.square())
    .reshape([...outer, half + 1, count]) as AnyTensor;
}

/** The rows of cosines and of sines under the window. */
function transforms(frame: number): [Float32Array, Float32Array] {
  const frequencies = Math.floor(frame / 2) + 1;
  const of = (wave: (angle: number) => number): Float32Array =>
    Float32Array.from({ length: frequencies * frame }, (_, at) => {
      const [k, i] = [Math.floor(at / frame), at % frame];
      const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / frame);
      return window * wave((2 * Math.PI * ((k * i) % frame)) / frame);
    });
  return [of(Math.cos), of(Math.sin)];
}
