// What the parts of gpu-check are, and how their checks compare results.
import * as hadal from '../../../lib/index';
import type { AnyTensor, Device } from '../../../lib/index';

export interface Reporter {
  /** Runs one check; what it throws is a failure. */
  check(what: string, body: () => void | Promise<void>): Promise<void>;
  note(text: string): void;
}

export interface Part {
  readonly name: string;
  /** How long it may take. */
  readonly limit: number;
  /** Of its process, beside what there is. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Of its samples each `every`-th, and the first of each op, in one of their dtypes, gradients against the CPU's; where that is 1, all of
   * them in all dtypes.
   */
  readonly run: (device: Device, report: Reporter, every: number) => Promise<void>;
}

export function expectEqual(got: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: got ${a}, expected ${b}`);
}

export const valuesOf = (x: AnyTensor): number[] => Array.from(x.dataSync() as Float32Array);

/** The tolerance is of a result's largest element. */
export function expectClose(results: number[][], expected: number[][], tolerance: number, what: string): void {
  results.forEach((values, i) => {
    const largest = expected[i]!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    values.forEach((value, at) => {
      if (Math.abs(value - expected[i]![at]!) <= tolerance * largest) return;
      const where = `result ${i} ${what}, element ${at}`;
      throw new Error(`${where}: got ${value}, expected ${expected[i]![at]} of at most ${largest}`);
    });
  });
}

/** A result and the gradients of the sum of its squares. */
export function withGradients(f: (...leaves: AnyTensor[]) => AnyTensor, given: readonly AnyTensor[]): number[][] {
  const leaves = given.map((input) => input.detach().requiresGrad_());
  const y = f(...leaves);
  return [y, ...hadal.gradients([y.square().sum()], leaves)].map((result) => valuesOf(result!.cast('float64')));
}
