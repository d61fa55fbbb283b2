// What a random call is.
import * as hadal from '../../../lib/index';
import type { AnyTensor, DType } from '../../../lib/index';
import type { Chance } from './chance';

type Op = (...given: unknown[]) => AnyTensor;
type Names = keyof typeof hadal | keyof typeof hadal.nn.functional;

/** Every op, of tensors whose shapes and dtypes only chance knows. */
export const ops = { ...hadal, ...hadal.nn.functional } as unknown as { readonly [name in Names]: Op };

/** An op with what it is given. */
export interface Call {
  /** float32, on the CPU. */
  readonly inputs: readonly AnyTensor[];
  readonly f: (...inputs: AnyTensor[]) => AnyTensor;
  /** For the message of a failure. */
  readonly options?: unknown;
  /** How many times as much as by one rounding results may be off; 1 unless given. */
  readonly roundings?: number;
  /** How large terms are that may cancel in a sum; 1 unless given. What is smaller is off by as much. */
  readonly terms?: number;
  /** Not of inputs that repeat along an axis, where there is nothing to norm, no distance, or a high power of one number. */
  readonly varies?: boolean;
  /** Only these of float32, bfloat16 and float16. */
  readonly dtypes?: readonly DType[];
}

/** Makes a call, or none where what was drawn does not fit together or is too large. */
export type Kind = (chance: Chance) => Call | undefined;
