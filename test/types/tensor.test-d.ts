import { tensor, zeros, type data, type AnyTensor, type Shape, type Tensor } from 'hadal';
import { expectType } from './expect';

declare const n: number;
declare const anyShape: Tensor;
declare const anything: AnyTensor;
declare const item: data.ArrayItem<'uint8'>;

// Creation.
expectType<Tensor<[32, 784]>>().of(zeros([32, 784]));
expectType<Tensor<[]>>().of(zeros([]));
expectType<Tensor<[number, 784]>>().of(zeros([n, 784]));
expectType<Tensor>().of(zeros([2, 3] as Shape));
expectType<Tensor<[2], 'int64'>>().of(zeros([2], { dtype: 'int64' }));
export type NoShape = Tensor<[2, 'float32']>; // error: does not satisfy the constraint
expectType<Tensor<[2, 2]>>().of(
  tensor([
    [1, 2],
    [3, 4],
  ]),
);
expectType<Tensor<[number, number]>>().of(tensor([] as number[][]));
expectType<Tensor<[]>>().of(tensor(5));
expectType<Tensor<[3], 'bool'>>().of(tensor([true, false, true]));
expectType<Tensor<[2], 'int64'>>().of(tensor([1n, 2n]));
expectType<Tensor<[2], 'int32'>>().of(tensor([1, 2], { dtype: 'int32' }));
expectType<Tensor<[number]>>().of(tensor(new Float32Array(3)));
expectType<Tensor<Shape, 'uint8'>>().of(tensor(item));
expectType<Tensor<[1, 2], 'float32'>>().of(tensor(item, { shape: [1, 2], dtype: 'float32' }));
tensor({ dtype: 'uint8', shape: [2], data: ['1'] }); // error: not assignable
tensor([[1, 2], [3]]); // error: ragged
tensor(['1']); // error: Type 'string' is not assignable

// Assignment: a tensor is one of less certain shape and dtype, and not the other way round.
export const batch: Tensor<[number, 784]> = zeros([32, 784]);
export const float: Tensor = zeros([32, 784]);
export const every: readonly AnyTensor[] = [batch, float, zeros([2], { dtype: 'bool' }), anything];
export const narrower: Tensor<[32, 784]> = batch; // error: Type 'number' is not assignable to type '32'
export const other: Tensor<[32, 700]> = zeros([32, 784]); // error: Type '784' is not assignable to type '700'
export const rank: Tensor<[number]> = zeros([32, 784]); // error: not assignable
export const dtype: Tensor = zeros([2], { dtype: 'float64' }); // error: Type '"float64"' is not assignable to type '"float32"'
export const expected: Tensor<[2], 'float64'> = zeros([2]); // error: Type '"float32"' is not assignable to type '"float64"'
export const lookAlike: AnyTensor = { shape: [2], dtype: 'float32' }; // error: missing the following properties
export const same: Tensor = float.add(anyShape).matmul(batch);

// Arithmetic.
expectType<Tensor<[2, 3]>>().of(zeros([2, 3]).add(zeros([3])));
expectType<Tensor<[2, 3]>>().of(zeros([2, 3]).add(1));
expectType<Tensor<[2, 3]>>().of(zeros([2, 1]).add(zeros([number(), 3]))); // the 2 is certain
expectType<Tensor<[2, 3], 'float64'>>().of(zeros([2, 3]).add(zeros([3], { dtype: 'float64' })));
expectType<Tensor<[2, 3]>>().of(zeros([2, 3]).add(zeros([], { dtype: 'float64' })));
expectType<Tensor<[2], 'int32'>>().of(zeros([2], { dtype: 'int32' }).add(2));
expectType<Tensor<[2]>>().of(zeros([2], { dtype: 'int32' }).add(0.5));
expectType<Tensor<[2], 'int32' | 'float32'>>().of(zeros([2], { dtype: 'int32' }).add(n));
expectType<Tensor>().of(anyShape.add(zeros([2])));
expectType<AnyTensor>().of(anything.add(anything));
expectType<Tensor<[2, 3], 'bool'>>().of(zeros([2, 1]).less(zeros([3])));
expectType<Tensor<[2], 'float32'>>().of(zeros([2], { dtype: 'int64' }).exp());
zeros([2, 3]).add(zeros([4, 3])); // error: "add: shapes [2, 3] and [4, 3] do not broadcast: 2 vs 4 at axis -2"
zeros([2, 3]).mul(zeros([n, 2])); // error: "mul: shapes [2, 3] and [number, 2] do not broadcast: 3 vs 2 at axis -1"
zeros([2, 3]).add('1'); // error: not assignable
declare function number(): number;

// Products.
expectType<Tensor<[32, 10]>>().of(zeros([32, 784]).matmul(zeros([784, 10])));
expectType<Tensor<[number, 10]>>().of(batch.matmul(zeros([784, 10])));
zeros([32, 784]).matmul(zeros([700, 10])); // error: "matmul: inner sizes differ: 784 vs 700"

// Reductions.
expectType<Tensor<[]>>().of(zeros([4, 5]).sum());
expectType<Tensor<[4]>>().of(zeros([4, 5]).sum(-1));
expectType<Tensor<[4, 1]>>().of(zeros([4, 5]).mean(1, { keepDims: true }));
expectType<Tensor<[5]>>().of(zeros([4, 5, 6]).max([0, 2]));
expectType<Tensor<[], 'int64'>>().of(zeros([4], { dtype: 'int32' }).sum());
expectType<Tensor<[4], 'int64'>>().of(zeros([4, 5]).argmax(1));
expectType<Tensor>().of(zeros([4, 5]).sum(n));
zeros([4, 5]).sum(3); // error: "sum: axis 3 out of range for shape [4, 5]"
zeros([4, 5]).mean([0, -2]); // error: "mean: axis 0 given twice for shape [4, 5]"
zeros([4, 5]).softmax(-3); // error: "softmax: axis -3 out of range for shape [4, 5]"

// Movement.
expectType<Tensor<[3, 2]>>().of(zeros([2, 3]).transpose());
expectType<Tensor<[4, 3, 2]>>().of(zeros([2, 3, 4]).transpose(0, -1));
expectType<Tensor<[4, 2, 3]>>().of(zeros([2, 3, 4]).permute([2, 0, 1]));
expectType<Tensor<[32, 784]>>().of(zeros([32, 1, 28, 28]).reshape([32, -1]));
expectType<Tensor<[number, 784]>>().of(zeros([n, 1, 28, 28]).reshape([n, 784]));
expectType<Tensor<[2, 3]>>().of(zeros([3]).expand([2, -1]));
expectType<Tensor<[2]>>().of(zeros([1, 2, 1]).squeeze());
zeros([2, 3]).reshape([4, 2]); // error: "reshape: number of elements differs: got shape [2, 3] with 6, expected [4, 2] with 8"
zeros([2, 3]).permute([0]); // error: "permute: axes: got [0], expected every axis of shape [2, 3] once"
zeros([2, 3]).expand([4, 3]); // error: "expand: shape does not fit: got [2, 3], expected one that broadcasts to [4, 3]"

// A variable can be reused.
let running = zeros([2, 3]);
running = running
  .add(zeros([3]))
  .mul(2)
  .relu();
let unknown = anyShape;
unknown = unknown.add(1).matmul(unknown).reshape([n, n]).transpose();
export const reused = [running, unknown];

// Elements are nested as deep as the tensor has axes, where that is known.
expectType<number>().of(zeros([]).toArraySync());
expectType<number[][]>().of(zeros([n, 3], { dtype: 'int64' }).toArraySync());
expectType<Promise<number[]>>().of(zeros([2]).toArray());
export const nested = anything.toArraySync() as number[][];

// Code that is generic in the shape is checked as if the shape were not known.
export function attend<S extends Shape, T extends Shape>(x: Tensor<S>, y: Tensor<T>, w: Tensor<[64, 64]>): Tensor {
  const z: Tensor = x.matmul(w).add(y).add(x);
  return z.matmul(z.transpose()).softmax(-1).sum([0, 1], { keepDims: true }).reshape([-1, 4]);
}
export function twice<S extends Shape>(x: Tensor<S>): Tensor<S> {
  return x.exp().mul(2) as Tensor<S>;
}
expectType<Tensor<[2, 3]>>().of(twice(zeros([2, 3])));
