/**
 * Which dtype an op computes in while mixed precision is on. Ops declare a policy (`autocast` of their spec, or one of the two below for functions that are composed
 * of ops); what declares none takes its operands as they come, and promotes them. Turned on by lib/autograd/autocast.ts.
 */
import { isFloat, type DType } from '../tensor/dtype';
import { recording } from '../tensor/node';
import type { AnyTensor } from '../tensor/tensor';
import { cast, castForImages } from './copy';

/** `lower`: in the 16-bit dtype of the region. `float32`: in float32, because rounding or range would hurt. */
export type AutocastPolicy = 'lower' | 'float32';

export type LowerDType = 'bfloat16' | 'float16';

interface WeightCast {
  readonly version: number;
  readonly cast: AnyTensor;
}

/** The region that is open: its dtype, or undefined outside, and the weights that have been cast in it. */
export const autocasting = {
  dtype: undefined as LowerDType | undefined,
  casts: new Map<AnyTensor, WeightCast>(),
};

/** Policies of functions that are composed of ops. */
export const lowerPrecision = { autocast: 'lower' } as const;
export const lowerPrecisionOfImages = { autocast: 'lower', channels: 'last' } as const;
export const fullPrecision = { autocast: 'float32' } as const;

interface Declared {
  readonly autocast?: AutocastPolicy | undefined;
  readonly channels?: 'last' | 'kept' | undefined;
}

/** `x` in the dtype that the op's policy asks for. float64 and integers stay as they are. */
export function operand<T extends AnyTensor | undefined>(op: Declared, x: T): T {
  if (autocasting.dtype === undefined || op.autocast === undefined || x === undefined) return x;
  const dtype = op.autocast === 'lower' ? autocasting.dtype : 'float32';
  if (x.dtype === dtype || x.dtype === 'float64' || !isFloat(x.dtype)) return x;
  // Weights are used again and again within a region.
  const isWeight = op.autocast === 'lower' && x.edge !== undefined && x.isLeaf;
  return (isWeight ? castOnce(op, x, dtype) : castFor(op, x, dtype)) as T;
}

/** The common dtype of an op's operands as its policy asks for. */
export function operandDType(op: Declared, dtype: DType): DType {
  if (autocasting.dtype === undefined || op.autocast === undefined || dtype === 'float64' || !isFloat(dtype)) {
    return dtype;
  }
  return op.autocast === 'lower' ? autocasting.dtype : 'float32';
}

function castFor({ channels }: Declared, x: AnyTensor, dtype: DType): AnyTensor {
  return channels === 'last' ? castForImages(x, dtype) : cast(x, dtype);
}

function castOnce(op: Declared, x: AnyTensor, dtype: DType): AnyTensor {
  const known = autocasting.casts.get(x);
  const isUsable =
    known !== undefined &&
    known.version === x.storage.version &&
    known.cast.dtype === dtype &&
    known.cast.storage.released === undefined &&
    (known.cast.edge !== undefined || !recording.enabled);
  if (isUsable) return known.cast;
  const made = castFor(op, x, dtype);
  autocasting.casts.set(x, { version: x.storage.version, cast: made });
  return made;
}
