/** What the type tests (*.test-d.ts) say things with. Nothing here runs. */
import type { Ok, Verdict } from '../../lib/tensor/shape-types';

/** Whether two types are the same, and not merely assignable to each other. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** An error where the argument is not `true`. */
export type Expect<T extends true> = T;

export interface Mismatch<Expected, Got> {
  readonly expected: Expected;
  readonly got: Got;
}

/** `expectType<T>().of(value)` is an error unless the type of `value` is exactly T. */
export declare function expectType<T>(): {
  of<U>(value: U & (Equal<T, U> extends true ? unknown : Mismatch<T, U>)): void;
};

/** An error that shows the message of a bad verdict. */
export declare function demand<V extends Verdict>(argument: 0 & Ok<V>): void;
