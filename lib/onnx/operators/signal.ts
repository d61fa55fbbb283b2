/** Fourier transforms. */
import * as ops from '../../ops';
import type { AnyTensor } from '../../tensor/tensor';
import { knowing, type Call } from '../call';
import { axisOf } from './shapes';

/** All bins [..., n, 2] of the transform of real sequences [..., n]: the upper half mirrors the lower one, conjugated. */
function whole(x: AnyTensor): AnyTensor {
  const n = x.shape.at(-1)!;
  const half = ops.rfft(x);
  const mirrored = half.narrow(-2, 1, n - half.shape.at(-2)!).flip([-2]);
  const parts = [mirrored.narrow(-1, 0, 1), mirrored.narrow(-1, 1, 1).neg()];
  return ops.cat([half, ops.cat(parts, -1)], -2);
}

const conjugate = (z: AnyTensor): AnyTensor => ops.cat([z.narrow(-1, 0, 1), z.narrow(-1, 1, 1).neg()], -1);

/** x [..., 1 or 2] with the axis of its elements cut or continued by zeros to a size. */
function resized(x: AnyTensor, axis: number, size: number | undefined): AnyTensor {
  const own = x.shape[axis]!;
  if (size === undefined || size === own) return x;
  return x.pad(x.shape.map((_, i) => [0, i === axis ? size - own : 0] as const));
}

const ofComplex = (z: AnyTensor, isInverse: boolean): AnyTensor => (isInverse ? ops.ifft(z) : ops.fft(z));

// The transform back is the conjugate of the transform of the conjugate, which a real sequence is itself.
const ofReal = (x: AnyTensor, isInverse: boolean): AnyTensor =>
  isInverse ? conjugate(whole(x)).div(x.shape.at(-1)!) : whole(x);

function dft(call: Call): AnyTensor {
  const given = call.tensor(0);
  const axis = axisOf(call, call.version >= 20 ? call.knownScalar(2, -2) : call.int('axis', 1), given.shape);
  const isInverse = call.int('inverse', 0) !== 0;
  const isOneSided = call.int('onesided', 0) !== 0;
  const sequence = resized(given, axis, call.knownOptional(1)?.[0]).moveAxis(axis, -2);
  const n = sequence.shape.at(-2)!;
  if (isInverse && isOneSided) {
    return ops
      .irfft(sequence, { n: 2 * (n - 1) })
      .unsqueeze(-1)
      .moveAxis(-2, axis);
  }
  const spectrum =
    sequence.shape.at(-1) === 1 ? ofReal(sequence.select(-1, 0), isInverse) : ofComplex(sequence, isInverse);
  const bins = isOneSided ? spectrum.narrow(-2, 0, Math.floor(n / 2) + 1) : spectrum;
  return bins.moveAxis(-2, axis);
}

function stft(call: Call): AnyTensor {
  const signal = call.tensor(0);
  const window = call.optional(2);
  const size = call.has(3)
    ? call.knownScalar(3)
    : (window?.shape[0] ?? call.refuse('frame_length', 'none', 'a number or a window'));
  const hop = call.knownScalar(1);
  const isReal = signal.rank === 2 || signal.shape.at(-1) === 1;
  const part = (i: number): AnyTensor => {
    const own = signal.rank === 2 ? signal : signal.select(-1, i);
    const frames = ops.frame(own, size, hop);
    return window === undefined ? frames : frames.mul(window);
  };
  const spectra = isReal ? whole(part(0)) : ops.fft(ops.stack([part(0), part(1)], -1));
  return call.int('onesided', 1) !== 0 ? spectra.narrow(-2, 0, Math.floor(size / 2) + 1) : spectra;
}

export const signal = { DFT: knowing([1, 2], dft), STFT: knowing([1, 3], stft) };
