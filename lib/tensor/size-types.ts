/**
 * Owns arithmetic on sizes as types: sums, differences, products and quotients of literal numbers, digit by digit. `number` in,
 * `number` out. Only shape-types.ts uses it.
 *
 * A number is a list of decimal digits, the last first, so that the cost grows with the digits and not with the number. One digit
 * step (a * b + c + d <= 99) is the length of a tuple; the compiler keeps the few hundred steps there are.
 */

type Digit = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
type Digits = readonly Digit[];

/** A tuple of each length. */
interface Unary {
  0: [];
  1: [0];
  2: [0, 0];
  3: [0, 0, 0];
  4: [0, 0, 0, 0];
  5: [0, 0, 0, 0, 0];
  6: [0, 0, 0, 0, 0, 0];
  7: [0, 0, 0, 0, 0, 0, 0];
  8: [0, 0, 0, 0, 0, 0, 0, 0];
  9: [0, 0, 0, 0, 0, 0, 0, 0, 0];
}
interface Times<T extends readonly 0[]> {
  0: [];
  1: T;
  2: [...T, ...T];
  3: [...T, ...T, ...T];
  4: [...T, ...T, ...T, ...T];
  5: [...T, ...T, ...T, ...T, ...T];
  6: [...T, ...T, ...T, ...T, ...T, ...T];
  7: [...T, ...T, ...T, ...T, ...T, ...T, ...T];
  8: [...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T];
  9: [...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T];
}

/** The digits of a size, the last first; null for what is not a whole literal number >= 0. */
type Parse<
  N extends number,
  Text extends string = `${N}`,
  Done extends Digits = [],
> = Text extends `${infer D extends Digit}${infer Rest}` ? Parse<N, Rest, [D, ...Done]> : Text extends '' ? Done : null;

/** The number that digits spell, the last first; leading zeros fall away. */
type Spell<D extends Digits, Text extends string = ''> = D extends readonly [
  infer Low extends Digit,
  ...infer Rest extends Digits,
]
  ? Spell<Rest, `${Low}${Text}`>
  : Trim<Text>;
type Trim<Text extends string> = Text extends `0${infer Rest extends `${Digit}${string}`}`
  ? Trim<Rest>
  : Text extends `${infer N extends number}`
    ? N
    : never;

/** [last digit, carry] of a * b + c + d. */
type Step<A extends Digit, B extends Digit, C extends Digit, D extends Digit> = Split<
  [...Times<Unary[A]>[B], ...Unary[C], ...Unary[D]]['length']
>;
type Split<N> = `${N & number}` extends `${infer High extends Digit}${infer Low extends Digit}` ? [Low, High] : [N, 0];

/** The digits of A * b + Acc + carry. */
type MultiplyAdd<A extends Digits, B extends Digit, Acc extends Digits, Carry extends Digit> = A extends readonly [
  infer A0 extends Digit,
  ...infer AR extends Digits,
]
  ? Acc extends readonly [infer C0 extends Digit, ...infer CR extends Digits]
    ? Step<A0, B, C0, Carry> extends [infer Low extends Digit, infer High extends Digit]
      ? [Low, ...MultiplyAdd<AR, B, CR, High>]
      : never
    : Step<A0, B, 0, Carry> extends [infer Low extends Digit, infer High extends Digit]
      ? [Low, ...MultiplyAdd<AR, B, [], High>]
      : never
  : Acc extends readonly [Digit, ...Digits]
    ? MultiplyAdd<[0], B, Acc, Carry>
    : Carry extends 0
      ? []
      : [Carry];

type MultiplyDigits<A extends Digits, B extends Digits, Acc extends Digits = []> = B extends readonly [
  infer B0 extends Digit,
  ...infer BR extends Digits,
]
  ? MultiplyAdd<A, B0, Acc, 0> extends [infer Low extends Digit, ...infer High extends Digits]
    ? [Low, ...MultiplyDigits<A, BR, High>]
    : []
  : Acc;

/** A - B - borrow; `never` when that is negative. */
type SubtractDigits<A extends Digits, B extends Digits, Borrow extends 0 | 1 = 0> = A extends readonly [
  infer A0 extends Digit,
  ...infer AR extends Digits,
]
  ? B extends readonly [infer B0 extends Digit, ...infer BR extends Digits]
    ? [...Unary[A0]] extends [...Unary[B0], ...Unary[Borrow], ...infer Left extends 0[]]
      ? [Left['length'] & Digit, ...SubtractDigits<AR, BR, 0>]
      : [...Times<Unary[5]>[2], ...Unary[A0]] extends [...Unary[B0], ...Unary[Borrow], ...infer Left extends 0[]]
        ? [Left['length'] & Digit, ...SubtractDigits<AR, BR, 1>]
        : never
    : SubtractDigits<A, [0], Borrow>
  : B extends readonly []
    ? Borrow extends 0
      ? []
      : never
    : never;

/** Long division, from the highest digit: how often B fits into 10 * remainder + digit. */
type DivideDigits<
  A extends Digits,
  B extends Digits,
  Remainder extends Digits = [],
  Done extends Digits = [],
> = A extends readonly [...infer AR extends Digits, infer High extends Digit]
  ? Fit<[High, ...Remainder], B> extends [infer Q extends Digit, infer Rest extends Digits]
    ? DivideDigits<AR, B, Rest, [Q, ...Done]>
    : never
  : Done;
/** [how often B fits into A, what is left of A], at most 9 times. */
type Fit<A extends Digits, B extends Digits, Count extends readonly 0[] = []> =
  SubtractDigits<A, B> extends infer Rest extends Digits
    ? [Rest] extends [never]
      ? [Count['length'], A]
      : Fit<Rest, B, [...Count, 0]>
    : never;

/** A + B. */
export type Add<A extends number, B extends number> = A extends 0
  ? B
  : B extends 0
    ? A
    : [Parse<A>, Parse<B>] extends [infer X extends Digits, infer Y extends Digits]
      ? Spell<MultiplyAdd<X, 1, Y, 0>>
      : number;

/** A - B, or `number` when that is negative. */
export type Subtract<A extends number, B extends number> = B extends 0
  ? A
  : [Parse<A>, Parse<B>] extends [infer X extends Digits, infer Y extends Digits]
    ? SubtractDigits<X, Y> extends infer D extends Digits
      ? [D] extends [never]
        ? number
        : Spell<D>
      : number
    : number;

/** A * B. */
export type Multiply<A extends number, B extends number> = A extends 1
  ? B
  : B extends 1
    ? A
    : [Parse<A>, Parse<B>] extends [infer X extends Digits, infer Y extends Digits]
      ? Spell<MultiplyDigits<X, Y>>
      : number;

/** The whole part of A / B; `number` for a division by 0. */
export type Divide<A extends number, B extends number> = B extends 1
  ? A
  : B extends 0
    ? number
    : [Parse<A>, Parse<B>] extends [infer X extends Digits, infer Y extends Digits]
      ? Spell<DivideDigits<X, Y>>
      : number;
