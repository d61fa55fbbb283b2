import type { Promote, PromoteNumber, SumDType, ToFloat, DType } from '../../lib/tensor/dtype';
import type {
  NestedCheck,
  NestedDType,
  NestedShape,
  PromoteAll,
  PromoteOperand,
  PromoteOperands,
  ShapesOf,
} from '../../lib/tensor/operand-types';
import type { Good, Shape } from '../../lib/tensor/shape-types';
import { demand, type Equal, type Expect } from './expect';

export type DTypes = [
  Expect<Equal<Promote<'float32', 'float64'>, 'float64'>>,
  Expect<Equal<Promote<'float16', 'bfloat16'>, 'float32'>>,
  Expect<Equal<Promote<'uint8', 'int8'>, 'int16'>>,
  Expect<Equal<Promote<'int64', 'float16'>, 'float16'>>,
  Expect<Equal<Promote<'bool', 'bool'>, 'bool'>>,
  Expect<Equal<Promote<'bool' | 'int32', 'int8'>, 'int8' | 'int32'>>,
  Expect<Equal<Promote<DType, 'float64'>, 'float64'>>,
  Expect<Equal<Promote<DType, DType>, DType>>,
  Expect<Equal<PromoteNumber<'bfloat16', 0.5>, 'bfloat16'>>,
  Expect<Equal<PromoteNumber<'bfloat16', number>, 'bfloat16'>>,
  Expect<Equal<PromoteNumber<'int32', 2>, 'int32'>>,
  Expect<Equal<PromoteNumber<'int32', -2>, 'int32'>>,
  Expect<Equal<PromoteNumber<'int32', 0.5>, 'float32'>>,
  Expect<Equal<PromoteNumber<'int32', number>, 'int32' | 'float32'>>,
  Expect<Equal<PromoteNumber<'bool', 2>, 'int64'>>,
  Expect<Equal<PromoteNumber<'bool', number>, 'int64' | 'float32'>>,
  Expect<Equal<ToFloat<'float16'>, 'float16'>>,
  Expect<Equal<ToFloat<'int64'>, 'float32'>>,
  Expect<Equal<SumDType<'bool'>, 'int64'>>,
  Expect<Equal<SumDType<'float16'>, 'float16'>>,
];

interface Like<S extends Shape, D extends DType = 'float32'> {
  readonly shape: S;
  readonly dtype: D;
}

export type Operands = [
  Expect<Equal<PromoteOperand<[2], 'float32', Like<[3], 'float64'>>, 'float64'>>,
  Expect<Equal<PromoteOperand<[2], 'float32', Like<[], 'float64'>>, 'float32'>>,
  Expect<Equal<PromoteOperand<[], 'float64', Like<[3], 'float32'>>, 'float32'>>,
  Expect<Equal<PromoteOperand<[], 'float64', Like<[], 'float32'>>, 'float64'>>,
  Expect<Equal<PromoteOperand<[2], 'uint8', Like<[], 'int64'>>, 'uint8'>>,
  Expect<Equal<PromoteOperand<[2], 'int32', Like<[], 'float64'>>, 'float64'>>,
  Expect<Equal<PromoteOperand<[2], 'bool', Like<[], 'int8'>>, 'int8'>>,
  Expect<Equal<PromoteOperand<[2], 'float32', Like<Shape, 'float64'>>, 'float32' | 'float64'>>,
  Expect<Equal<PromoteOperand<Shape, 'float32', Like<Shape, 'float32'>>, 'float32'>>,
  Expect<Equal<PromoteOperand<Shape, 'float32', Like<Shape, 'int64'>>, 'float32'>>,
  Expect<Equal<PromoteOperand<[2], 'int32', 0.5>, 'float32'>>,
  Expect<Equal<PromoteOperand<[2], 'int32', 1 | Like<[2], 'int64'>>, 'int32' | 'int64'>>,
  Expect<Equal<PromoteOperands<2, Like<[2], 'int32'>>, 'int32'>>,
  Expect<Equal<PromoteOperands<Like<[2], 'float16'>, Like<[2], 'bfloat16'>>, 'float32'>>,
  Expect<Equal<PromoteOperands<2, 3>, 'float32'>>,
  Expect<Equal<PromoteAll<readonly [Like<[2], 'float16'>, Like<[2], 'int8'>, Like<[], 'float64'>]>, 'float64'>>,
  Expect<Equal<PromoteAll<Like<[2], 'float16'>[]>, 'float16'>>,
  Expect<Equal<ShapesOf<readonly [Like<[2]>, Like<[3, 4]>]>, readonly [[2], [3, 4]]>>,
  Expect<Equal<ShapesOf<Like<[2]>[]>, readonly [2][]>>,
];

export type Nested = [
  Expect<Equal<NestedShape<number>, []>>,
  Expect<Equal<NestedShape<[]>, [0]>>,
  Expect<Equal<NestedShape<[[number, number], [number, number]]>, [2, 2]>>,
  Expect<Equal<NestedShape<readonly [readonly [1], readonly [2], readonly [3]]>, [3, 1]>>,
  Expect<Equal<NestedShape<number[][]>, [number, number]>>,
  Expect<Equal<NestedShape<[number[], number[]]>, [2, number]>>,
  Expect<Equal<NestedShape<Float32Array>, [number]>>,
  Expect<Equal<NestedShape<[Float32Array, Float32Array]>, [2, number]>>,
  Expect<Equal<NestedShape<number | number[]>, [] | [number]>>,
  Expect<Equal<NestedShape<any>, Shape>>,
  Expect<Equal<NestedCheck<[[number], [number]]>, Good>>,
  Expect<Equal<NestedCheck<number[][]>, Good>>,
  Expect<Equal<NestedCheck<[number[], [number]]>, Good>>,
  Expect<Equal<NestedCheck<any>, Good>>,
  Expect<Equal<NestedDType<[[number], [number]]>, 'float32'>>,
  Expect<Equal<NestedDType<[]>, 'float32'>>,
  Expect<Equal<NestedDType<boolean[]>, 'bool'>>,
  Expect<Equal<NestedDType<true>, 'bool'>>,
  Expect<Equal<NestedDType<bigint[][]>, 'int64'>>,
  Expect<Equal<NestedDType<(number | boolean)[]>, 'float32'>>,
  Expect<Equal<NestedDType<Float64Array>, 'float64'>>,
  Expect<Equal<NestedDType<Float32Array>, 'float32'>>,
  Expect<Equal<NestedDType<BigInt64Array>, 'int64'>>,
  Expect<Equal<NestedDType<Int32Array>, 'int32'>>,
  Expect<Equal<NestedDType<Int16Array>, 'int16'>>,
  Expect<Equal<NestedDType<Int8Array>, 'int8'>>,
  Expect<Equal<NestedDType<Uint8Array>, 'uint8'>>,
  Expect<Equal<NestedDType<Uint8ClampedArray>, 'uint8'>>,
  Expect<Equal<NestedDType<Buffer>, 'uint8'>>,
  Expect<Equal<NestedDType<Float32Array[]>, 'float32'>>,
  Expect<Equal<NestedDType<Int32Array[]>, 'int32'>>,
  Expect<Equal<NestedDType<any>, DType>>,
];
demand<NestedCheck<[[number, number], [number]]>>(0); // error: "tensor: ragged array: the lengths of its rows differ"
demand<NestedCheck<[[[1], [2]], [[3], [4, 5]]]>>(0); // error: "tensor: ragged array: the lengths of its rows differ"
