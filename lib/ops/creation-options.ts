/** What every function that makes a tensor is told: its dtype, device and shape. */
import { ArgumentError } from '../errors';
import { deviceNumber, getDefaultDevice, type Device } from '../runtime/device';
import { describe } from '../tensor/describe';
import { dtypes, isDType, isFloat, type DType } from '../tensor/dtype';
import type { Shape } from '../tensor/shape-types';
import { checkShape } from '../tensor/shapes';
import { checkOptions } from './define';

/** What a new tensor is to be. */
export interface CreationOptions<D extends DType = DType> {
  /** `'float32'` unless given. */
  readonly dtype?: D;
  /** `'cpu'` unless given. */
  readonly device?: Device;
  /** Whether the tensor is a leaf that collects gradients. Floating dtypes only. */
  readonly requiresGrad?: boolean;
}

/** The options with their defaults, checked. */
export function creation(op: string, options: CreationOptions | undefined, otherwise: DType = 'float32') {
  checkOptions(op, options);
  const { dtype = otherwise, device = getDefaultDevice(), requiresGrad = false } = options ?? {};
  if (!isDType(dtype)) throw new ArgumentError(`${op}: dtype: got ${describe(dtype)}, expected ${dtypes.join(', ')}`);
  if (requiresGrad && !isFloat(dtype)) {
    throw new ArgumentError(`${op}: requiresGrad: got dtype ${dtype}, expected a floating dtype`);
  }
  return { dtype, device: deviceNumber(op, device), requiresGrad };
}

/** A checked copy of a shape, which the caller may go on to change. */
export function ownShape(op: string, shape: Shape): Shape {
  checkShape(op, shape);
  return [...shape];
}
