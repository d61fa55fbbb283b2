/** Padding layers over one to three spatial axes. Amounts are one number, or as in PyTorch a pair per axis, the last axis first: `[left, right, top, bottom]`. */
import { ArgumentError } from '../errors';
import { pad, type PadMode } from '../ops/movement';
import type { SpatialRank } from '../ops/window';
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';

export type Padding1d = number | readonly [left: number, right: number];
export type Padding2d = number | readonly [left: number, right: number, top: number, bottom: number];
export type Padding3d =
  number | readonly [left: number, right: number, top: number, bottom: number, front: number, back: number];

abstract class Padding extends Module {
  readonly #pairs: readonly (readonly [number, number])[];
  readonly #mode: PadMode;

  constructor(
    readonly padding: number | readonly number[],
    rank: SpatialRank,
    mode: PadMode,
    readonly value = 0,
  ) {
    super();
    const flat = typeof padding === 'number' ? new Array<number>(2 * rank).fill(padding) : padding;
    if (
      !Array.isArray(flat) ||
      flat.length !== 2 * rank ||
      !flat.every((count) => Number.isSafeInteger(count) && count >= 0)
    ) {
      throw new ArgumentError(
        `${new.target.name}: padding: got ${JSON.stringify(padding)}, expected one or ${2 * rank} integers of at least 0`,
      );
    }
    this.#pairs = Array.from({ length: rank }, (_, i) => {
      const at = 2 * (rank - 1 - i);
      return [flat[at]!, flat[at + 1]!] as const;
    });
    this.#mode = mode;
  }

  forward(x: AnyTensor): AnyTensor {
    return pad(x, this.#pairs, { mode: this.#mode, value: this.value });
  }

  protected override describe(): string {
    return JSON.stringify(this.padding);
  }
}

/** A constant around x [n, c, length]. */
export class ConstantPad1d extends Padding {
  constructor(padding: Padding1d, value: number) {
    super(padding, 1, 'constant', value);
  }
}

/** Zeros around x. */
export class ZeroPad1d extends Padding {
  constructor(padding: Padding1d) {
    super(padding, 1, 'constant');
  }
}

/** x mirrored at its edges, which are not repeated. */
export class ReflectionPad1d extends Padding {
  constructor(padding: Padding1d) {
    super(padding, 1, 'reflect');
  }
}

/** The edges of x repeated. */
export class ReplicationPad1d extends Padding {
  constructor(padding: Padding1d) {
    super(padding, 1, 'replicate');
  }
}

/** x continued from its other end. */
export class CircularPad1d extends Padding {
  constructor(padding: Padding1d) {
    super(padding, 1, 'circular');
  }
}

/** A constant around x [n, c, h, w]. */
export class ConstantPad2d extends Padding {
  constructor(padding: Padding2d, value: number) {
    super(padding, 2, 'constant', value);
  }
}

/** Zeros around x. */
export class ZeroPad2d extends Padding {
  constructor(padding: Padding2d) {
    super(padding, 2, 'constant');
  }
}

/** x mirrored at its edges, which are not repeated. */
export class ReflectionPad2d extends Padding {
  constructor(padding: Padding2d) {
    super(padding, 2, 'reflect');
  }
}

/** The edges of x repeated. */
export class ReplicationPad2d extends Padding {
  constructor(padding: Padding2d) {
    super(padding, 2, 'replicate');
  }
}

/** x continued from its other end. */
export class CircularPad2d extends Padding {
  constructor(padding: Padding2d) {
    super(padding, 2, 'circular');
  }
}

/** A constant around x [n, c, d, h, w]. */
export class ConstantPad3d extends Padding {
  constructor(padding: Padding3d, value: number) {
    super(padding, 3, 'constant', value);
  }
}

/** Zeros around x. */
export class ZeroPad3d extends Padding {
  constructor(padding: Padding3d) {
    super(padding, 3, 'constant');
  }
}

/** x mirrored at its edges, which are not repeated. */
export class ReflectionPad3d extends Padding {
  constructor(padding: Padding3d) {
    super(padding, 3, 'reflect');
  }
}

/** The edges of x repeated. */
export class ReplicationPad3d extends Padding {
  constructor(padding: Padding3d) {
    super(padding, 3, 'replicate');
  }
}

/** x continued from its other end. */
export class CircularPad3d extends Padding {
  constructor(padding: Padding3d) {
    super(padding, 3, 'circular');
  }
}
