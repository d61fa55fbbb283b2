import type {
  AxisCheck,
  Broadcast,
  BroadcastCheck,
  Cat,
  CatCheck,
  Expand,
  ExpandCheck,
  Flatten,
  Good,
  Insert,
  InsertCheck,
  Permute,
  PermuteCheck,
  Reduce,
  Reshape,
  ReshapeCheck,
  Resize,
  SameCheck,
  Select,
  SelectCheck,
  Shape,
  ShapeOf,
  Show,
  SizeAt,
  Sized,
  Slice,
  Squeeze,
  Stack,
  StackCheck,
  Transpose,
} from '../../lib/tensor/shape-types';
import type { Add, Divide, Multiply, Subtract } from '../../lib/tensor/size-types';
import { demand, type Equal, type Expect } from './expect';

export type Sizes = [
  Expect<Equal<Add<99, 1>, 100>>,
  Expect<Equal<Add<1, 99>, 100>>,
  Expect<Equal<Add<12345, 678>, 13023>>,
  Expect<Equal<Add<0, 5>, 5>>,
  Expect<Equal<Add<number, 5>, number>>,
  Expect<Equal<Add<5, number>, number>>,
  Expect<Equal<Subtract<100, 1>, 99>>,
  Expect<Equal<Subtract<5, 5>, 0>>,
  Expect<Equal<Subtract<3, 5>, number>>,
  Expect<Equal<Subtract<30, 5>, 25>>,
  Expect<Equal<Multiply<32, 784>, 25088>>,
  Expect<Equal<Multiply<999, 999>, 998001>>,
  Expect<Equal<Multiply<50304, 768>, 38633472>>,
  Expect<Equal<Multiply<0, 784>, 0>>,
  Expect<Equal<Multiply<784, 0>, 0>>,
  Expect<Equal<Multiply<number, 7>, number>>,
  Expect<Equal<Multiply<1.5, 2>, number>>,
  Expect<Equal<Multiply<-2, 2>, number>>,
  Expect<Equal<Divide<27, 2>, 13>>,
  Expect<Equal<Divide<1, 2>, 0>>,
  Expect<Equal<Divide<50176, 784>, 64>>,
  Expect<Equal<Divide<7, 0>, number>>,
  Expect<Equal<Divide<number, 2>, number>>,
];

export type Words = [
  Expect<Equal<Show<[]>, '[]'>>,
  Expect<Equal<Show<[2]>, '[2]'>>,
  Expect<Equal<Show<readonly [2, number, 3]>, '[2, number, 3]'>>,
  Expect<Equal<Show<Shape>, 'Shape'>>,
  Expect<Equal<Sized<readonly [2, number]>, [2, number]>>,
  Expect<Equal<Sized<[]>, []>>,
  Expect<Equal<Sized<number[]>, Shape>>,
  Expect<Equal<Sized<[2, ...number[]]>, Shape>>,
  Expect<Equal<ShapeOf<number>, []>>,
  Expect<Equal<ShapeOf<{ shape: [2, 3] }>, [2, 3]>>,
];

export type Broadcasting = [
  Expect<Equal<Broadcast<[2, 3], [2, 3]>, [2, 3]>>,
  Expect<Equal<Broadcast<[2, 3], [3]>, [2, 3]>>,
  Expect<Equal<Broadcast<[3], [2, 3]>, [2, 3]>>,
  Expect<Equal<Broadcast<[2, 1], [3]>, [2, 3]>>,
  Expect<Equal<Broadcast<[], [2, 3]>, [2, 3]>>,
  Expect<Equal<Broadcast<[2, 3], []>, [2, 3]>>,
  Expect<Equal<Broadcast<[], []>, []>>,
  Expect<Equal<Broadcast<[5, 1, 4], [3, 1]>, [5, 3, 4]>>,
  Expect<Equal<Broadcast<[0], [1]>, [0]>>,
  Expect<Equal<Broadcast<readonly [2, 3], readonly [3]>, [2, 3]>>,
  Expect<Equal<Broadcast<[number, 3], [2, 1]>, [2, 3]>>,
  Expect<Equal<Broadcast<[number], [1]>, [number]>>,
  Expect<Equal<Broadcast<[number], [number]>, [number]>>,
  Expect<Equal<Broadcast<Shape, [2, 3]>, Shape>>,
  Expect<Equal<Broadcast<[2, 3], Shape>, Shape>>,
  Expect<Equal<Broadcast<Shape, []>, Shape>>,
  Expect<Equal<Broadcast<[], Shape>, Shape>>,
  Expect<Equal<Broadcast<Shape, Shape>, Shape>>,
  Expect<Equal<Broadcast<[2] | [3, 1], [2]>, [2] | [3, 2]>>,
  Expect<Equal<BroadcastCheck<[2, 3], [2, 1]>, Good>>,
  Expect<Equal<BroadcastCheck<[number, 3], [4, 3]>, Good>>,
  Expect<Equal<BroadcastCheck<Shape, [4, 3]>, Good>>,
  Expect<Equal<BroadcastCheck<[4, 3], Shape>, Good>>,
  Expect<Equal<BroadcastCheck<[0], [1]>, Good>>,
];
demand<BroadcastCheck<[2, 3], [3]>>(0);
demand<BroadcastCheck<[2, 3], [4, 3], 'add'>>(0); // error: "add: shapes [2, 3] and [4, 3] do not broadcast: 2 vs 4 at axis -2"
demand<BroadcastCheck<[4], [2, 3], 'mul'>>(0); // error: "mul: shapes [4] and [2, 3] do not broadcast: 4 vs 3 at axis -1"
demand<BroadcastCheck<[2, 4], [3, 5], 'add'>>(0); // error: "add: shapes [2, 4] and [3, 5] do not broadcast: 2 vs 3 at axis -2"
demand<BroadcastCheck<[0], [2], 'add'>>(0); // error: "add: shapes [0] and [2] do not broadcast: 0 vs 2 at axis -1"
demand<BroadcastCheck<[number, 2], [3], 'sub'>>(0); // error: "sub: shapes [number, 2] and [3] do not broadcast: 2 vs 3 at axis -1"
demand<BroadcastCheck<[2] | [3], [3]>>(0);
demand<BroadcastCheck<[2 | 3], [3]>>(0);

export type Axes = [
  Expect<Equal<SizeAt<[2, 3, 4], 1>, 3>>,
  Expect<Equal<SizeAt<[2, 3, 4], -1>, 4>>,
  Expect<Equal<SizeAt<[2, 3, 4], -3>, 2>>,
  Expect<Equal<SizeAt<[2, 3, 4], number>, number>>,
  Expect<Equal<SizeAt<Shape, 0>, number>>,
  Expect<Equal<Resize<[2, 3, 4], -2, 7>, [2, 7, 4]>>,
  Expect<Equal<Resize<Shape, -2, 7>, Shape>>,
  Expect<Equal<AxisCheck<[2, 3], 1>, Good>>,
  Expect<Equal<AxisCheck<[2, 3], -2>, Good>>,
  Expect<Equal<AxisCheck<[2, 3], number>, Good>>,
  Expect<Equal<AxisCheck<[2, 3], undefined>, Good>>,
  Expect<Equal<AxisCheck<[2, 3], readonly number[]>, Good>>,
  Expect<Equal<AxisCheck<[2, 3], [0, -1]>, Good>>,
  Expect<Equal<AxisCheck<[number, 3], [0, 1]>, Good>>,
  Expect<Equal<AxisCheck<Shape, 5>, Good>>,
  Expect<Equal<AxisCheck<Shape, [5, 5]>, Good>>,
];
demand<AxisCheck<[4, 5], 1 | -1>>(0);
demand<AxisCheck<[4, 5], 3, 'sum'>>(0); // error: "sum: axis 3 out of range for shape [4, 5]"
demand<AxisCheck<[4, 5], -3, 'sum'>>(0); // error: "sum: axis -3 out of range for shape [4, 5]"
demand<AxisCheck<[4, 5], 99, 'sum'>>(0); // error: "sum: axis 99 out of range for shape [4, 5]"
demand<AxisCheck<[], 0, 'softmax'>>(0); // error: "softmax: axis 0 out of range for shape []"
demand<AxisCheck<[4, 5], [0, 2], 'mean'>>(0); // error: "mean: axis 2 out of range for shape [4, 5]"
demand<AxisCheck<[4, 5], [1, -1], 'mean'>>(0); // error: "mean: axis 1 given twice for shape [4, 5]"

export type Reductions = [
  Expect<Equal<Reduce<[2, 3, 4]>, []>>,
  Expect<Equal<Reduce<[2, 3, 4], undefined, true>, [1, 1, 1]>>,
  Expect<Equal<Reduce<[2, 3, 4], 0>, [3, 4]>>,
  Expect<Equal<Reduce<[2, 3, 4], 1>, [2, 4]>>,
  Expect<Equal<Reduce<[2, 3, 4], -1>, [2, 3]>>,
  Expect<Equal<Reduce<[2, 3, 4], -2, true>, [2, 1, 4]>>,
  Expect<Equal<Reduce<[2, 3, 4], [0, -1]>, [3]>>,
  Expect<Equal<Reduce<[2, 3, 4], readonly [2, 1, 0]>, []>>,
  Expect<Equal<Reduce<[2, 3, 4], [0, 1], true>, [1, 1, 4]>>,
  Expect<Equal<Reduce<[number, 3], 1>, [number]>>,
  Expect<Equal<Reduce<[number, 3], [1]>, [number]>>,
  Expect<Equal<Reduce<[2, 3], []>, [2, 3]>>,
  Expect<Equal<Reduce<[2, 3], number>, Shape>>,
  Expect<Equal<Reduce<[2, 3], readonly number[]>, Shape>>,
  Expect<Equal<Reduce<[2, 3], 0, boolean>, Shape>>,
  Expect<Equal<Reduce<Shape>, []>>,
  Expect<Equal<Reduce<Shape, undefined, true>, Shape>>,
  Expect<Equal<Reduce<Shape, 0>, Shape>>,
  Expect<Equal<Reduce<[2, 3], 0 | 1>, [2] | [3]>>,
];

export type Selecting = [
  Expect<Equal<Select<[2, 3, 4], 1>, [2, 4]>>,
  Expect<Equal<Select<[2, 3, 4], -3>, [3, 4]>>,
  Expect<Equal<SelectCheck<[2, 3], 1, 2>, Good>>,
  Expect<Equal<SelectCheck<[2, 3], 1, -3>, Good>>,
  Expect<Equal<SelectCheck<[2, 3], 1, number>, Good>>,
  Expect<Equal<SelectCheck<[2, number], 1, 99>, Good>>,
  Expect<Equal<SelectCheck<Shape, 1, 99>, Good>>,
  Expect<Equal<Slice<[10, 3], 0, 2, 5>, [3, 3]>>,
  Expect<Equal<Slice<[10, 3], 0, 2>, [8, 3]>>,
  Expect<Equal<Slice<[10, 3], 0, undefined, 4>, [4, 3]>>,
  Expect<Equal<Slice<[10, 3], 0, 0, 99>, [10, 3]>>,
  Expect<Equal<Slice<[10, 3], 0, -4, -1>, [3, 3]>>,
  Expect<Equal<Slice<[10, 3], 0, number, 5>, [number, 3]>>,
  Expect<Equal<Slice<[number, 3], 0, 2, 5>, [number, 3]>>,
  Expect<Equal<Slice<Shape, 0, 2, 5>, Shape>>,
];
demand<SelectCheck<[4, 5], 0, 4>>(0); // error: "select: index 4 out of range for axis 0 of shape [4, 5]"
demand<SelectCheck<[4, 5], -1, -6>>(0); // error: "select: index -6 out of range for axis -1 of shape [4, 5]"
demand<SelectCheck<[0], 0, 0>>(0); // error: "select: index 0 out of range for axis 0 of shape [0]"
demand<SelectCheck<[4, 5], 2, 0>>(0); // error: "select: axis 2 out of range for shape [4, 5]"

export type Moving = [
  Expect<Equal<Transpose<[2, 3, 4]>, [2, 4, 3]>>,
  Expect<Equal<Transpose<[2, 3, 4], 0, 2>, [4, 3, 2]>>,
  Expect<Equal<Transpose<[2, 3, 4], -1, 0>, [4, 3, 2]>>,
  Expect<Equal<Transpose<[2, 3, 4], 1, 1>, [2, 3, 4]>>,
  Expect<Equal<Transpose<[2, number]>, [number, 2]>>,
  Expect<Equal<Transpose<[2, 3, 4], number, 0>, Shape>>,
  Expect<Equal<Transpose<Shape, 0, 1>, Shape>>,
  Expect<Equal<Permute<[2, 3, 4], [2, 0, 1]>, [4, 2, 3]>>,
  Expect<Equal<Permute<[2, 3, 4], readonly [0, -1, 1]>, [2, 4, 3]>>,
  Expect<Equal<Permute<[2, 3, 4]>, [4, 3, 2]>>,
  Expect<Equal<Permute<[2, 3], number[]>, Shape>>,
  Expect<Equal<Permute<Shape, [1, 0]>, [number, number]>>,
  Expect<Equal<PermuteCheck<[2, 3, 4], [2, 0, 1]>, Good>>,
  Expect<Equal<PermuteCheck<[2, 3, 4], number[]>, Good>>,
  Expect<Equal<PermuteCheck<[2, 3, 4], undefined>, Good>>,
  Expect<Equal<PermuteCheck<Shape, [1, 0]>, Good>>,
  Expect<Equal<Squeeze<[1, 2, 1]>, [2]>>,
  Expect<Equal<Squeeze<[1, 2, 1], 0>, [2, 1]>>,
  Expect<Equal<Squeeze<[1, 2, 1], 1>, [1, 2, 1]>>,
  Expect<Equal<Squeeze<[1, number]>, Shape>>,
  Expect<Equal<Squeeze<[1, number], 1>, Shape>>,
  Expect<Equal<Squeeze<Shape>, Shape>>,
  Expect<Equal<Insert<[2, 3], 0>, [1, 2, 3]>>,
  Expect<Equal<Insert<[2, 3], 2>, [2, 3, 1]>>,
  Expect<Equal<Insert<[2, 3], -1>, [2, 3, 1]>>,
  Expect<Equal<Insert<[2, 3], -3>, [1, 2, 3]>>,
  Expect<Equal<Insert<[2, 3], number>, Shape>>,
  Expect<Equal<Insert<[], 0>, [1]>>,
  Expect<Equal<Insert<Shape, 0>, Shape>>,
  Expect<Equal<InsertCheck<[2, 3], 2>, Good>>,
  Expect<Equal<InsertCheck<[2, 3], -3>, Good>>,
  Expect<Equal<InsertCheck<[2, 3], number>, Good>>,
  Expect<Equal<InsertCheck<Shape, 6>, Good>>,
  Expect<Equal<Expand<[1, 3], [2, 3]>, [2, 3]>>,
  Expect<Equal<Expand<[3], [2, -1]>, [2, 3]>>,
  Expect<Equal<Expand<[number, 3], [-1, 3]>, [number, 3]>>,
  Expect<Equal<Expand<Shape, [2, 3]>, [2, 3]>>,
  Expect<Equal<Expand<[1, 3], number[]>, Shape>>,
  Expect<Equal<ExpandCheck<[1, 3], [2, 3]>, Good>>,
  Expect<Equal<ExpandCheck<[number, 3], [2, -1]>, Good>>,
  Expect<Equal<ExpandCheck<Shape, [2, 3]>, Good>>,
];
demand<PermuteCheck<[2, 3, 4], [0, 1]>>(0); // error: "permute: axes: got [0, 1], expected every axis of shape [2, 3, 4] once"
demand<PermuteCheck<[2, 3], [0, 0]>>(0); // error: "permute: axes: got [0, 0], expected every axis of shape [2, 3] once"
demand<PermuteCheck<[2, 3], [1, -1]>>(0); // error: "permute: axes: got [1, -1], expected every axis of shape [2, 3] once"
demand<PermuteCheck<[2, 3], [0, 1, 0]>>(0); // error: "permute: axes: got [0, 1, 0], expected every axis of shape [2, 3] once"
demand<PermuteCheck<[2, 3], [number, 1]>>(0);
demand<PermuteCheck<[2, 3], [0, 2]>>(0); // error: "permute: axis 2 out of range for shape [2, 3]"
demand<InsertCheck<[2, 3], 3>>(0); // error: "unsqueeze: axis 3 out of range for shape [2, 3]"
demand<InsertCheck<[2, 3], -4>>(0); // error: "unsqueeze: axis -4 out of range for shape [2, 3]"
demand<ExpandCheck<[2, 3], [4, 3]>>(0); // error: "expand: shape does not fit: got [2, 3], expected one that broadcasts to [4, 3]"
demand<ExpandCheck<[2, 3], [3]>>(0); // error: "expand: shape does not fit: got [2, 3], expected one that broadcasts to [3]"

export type Reshaping = [
  Expect<Equal<Reshape<[2, 6], [3, 4]>, [3, 4]>>,
  Expect<Equal<Reshape<[2, 6], readonly [3, 4]>, [3, 4]>>,
  Expect<Equal<Reshape<[32, 1, 28, 28], [32, -1]>, [32, 784]>>,
  Expect<Equal<Reshape<[64, 1, 28, 28], [-1, 784]>, [64, 784]>>,
  Expect<Equal<Reshape<[2, 3], [-1]>, [6]>>,
  Expect<Equal<Reshape<[6], [-1, 2, 3]>, [1, 2, 3]>>,
  Expect<Equal<Reshape<[], [-1]>, [1]>>,
  Expect<Equal<Reshape<[2, 3], []>, []>>,
  Expect<Equal<Reshape<[number, 4], [-1, 2]>, [number, 2]>>,
  Expect<Equal<Reshape<[4, number], [number, 2]>, [number, 2]>>,
  Expect<Equal<Reshape<[2, 3], number[]>, Shape>>,
  Expect<Equal<Reshape<Shape, [2, -1]>, [2, number]>>,
  Expect<Equal<ReshapeCheck<[2, 6], [3, 4]>, Good>>,
  Expect<Equal<ReshapeCheck<[64, 256, 384], [64, 256, 6, 64]>, Good>>,
  Expect<Equal<ReshapeCheck<[number, 6], [3, 4]>, Good>>,
  Expect<Equal<ReshapeCheck<[2, 6], [3, number]>, Good>>,
  Expect<Equal<ReshapeCheck<[2, 6], [5, -1]>, Good>>,
  Expect<Equal<ReshapeCheck<[0, 6], [0, 4]>, Good>>,
  Expect<Equal<ReshapeCheck<Shape, [3, 4]>, Good>>,
  Expect<Equal<ReshapeCheck<[2, 6], number[]>, Good>>,
  Expect<Equal<Flatten<[2, 3, 4]>, [24]>>,
  Expect<Equal<Flatten<[32, 8, 7, 7], 1>, [32, 392]>>,
  Expect<Equal<Flatten<[number, 8, 7, 7], 1>, [number, 392]>>,
  Expect<Equal<Flatten<[2, 3, 4, 5], 1, 2>, [2, 12, 5]>>,
  Expect<Equal<Flatten<[2, 3, 4, 5], -3, -2>, [2, 12, 5]>>,
  Expect<Equal<Flatten<[2, number, 4], 1>, [2, number]>>,
  Expect<Equal<Flatten<[]>, [1]>>,
  Expect<Equal<Flatten<[2, 3], number>, Shape>>,
  Expect<Equal<Flatten<Shape, 1>, Shape>>,
];
demand<ReshapeCheck<[2, 3], [4, 2]>>(0); // error: "reshape: number of elements differs: got shape [2, 3] with 6, expected [4, 2] with 8"
demand<ReshapeCheck<[64, 28, 28], [64, 785], 'view'>>(0); // error: "view: number of elements differs: got shape [64, 28, 28] with 50176, expected [64, 785] with 50240"
demand<ReshapeCheck<[], [0]>>(0); // error: "reshape: number of elements differs: got shape [] with 1, expected [0] with 0"

export type Joining = [
  Expect<Equal<Cat<[[2, 3], [4, 3]], 0>, [6, 3]>>,
  Expect<Equal<Cat<[[2, 3], [2, 4], [2, 5]], -1>, [2, 12]>>,
  Expect<Equal<Cat<[[number, 3], [2, 4]], 1>, [2, 7]>>,
  Expect<Equal<Cat<[[number, 3], [2, 3]], 0>, [number, 3]>>,
  Expect<Equal<Cat<[readonly [2, 3]], 0>, [2, 3]>>,
  Expect<Equal<Cat<readonly [2, 3][], 0>, [number, 3]>>,
  Expect<Equal<Cat<[[2, 3], Shape], 0>, [number, 3]>>,
  Expect<Equal<Cat<[[2, 3], [2, 3]], number>, Shape>>,
  Expect<Equal<CatCheck<[[2, 3], [4, 3]], 0>, Good>>,
  Expect<Equal<CatCheck<[[2, number], [4, 3]], 0>, Good>>,
  Expect<Equal<CatCheck<[[2, 3], Shape], 0>, Good>>,
  Expect<Equal<CatCheck<[[2, 3], [4, 5]], number>, Good>>,
  Expect<Equal<CatCheck<Shape[], 0>, Good>>,
  Expect<Equal<Stack<[[2, 3], [2, 3]], 0>, [2, 2, 3]>>,
  Expect<Equal<Stack<[[2, 3], [2, 3], [2, 3]], -1>, [2, 3, 3]>>,
  Expect<Equal<Stack<readonly [2, 3][], 0>, [number, 2, 3]>>,
  Expect<Equal<StackCheck<[[2, 3], [number, 3]], 0>, Good>>,
  Expect<Equal<StackCheck<Shape[], 0>, Good>>,
];
demand<CatCheck<[[2, 3], [2, 4]], 0>>(0); // error: "cat: tensors[1] does not fit along axis 0: got shape [2, 4], expected [2, 3] except at that axis"
demand<CatCheck<[[2, 3], [4, 3], [3, 4]], -2>>(0); // error: "cat: tensors[2] does not fit along axis -2: got shape [3, 4], expected [2, 3] except at that axis"
demand<CatCheck<[[2, 3], [2]], 0>>(0); // error: "cat: tensors[1] does not fit along axis 0: got shape [2], expected [2, 3] except at that axis"
demand<CatCheck<[[2, 3], [2, 3]], 2>>(0); // error: "cat: axis 2 out of range for shape [2, 3]"
demand<StackCheck<[[2, 3], [2, 4]], 0>>(0); // error: "stack: tensors[1] has another shape: got [2, 4], expected [2, 3]"
demand<SameCheck<[2, 3], [2, number], 'mseLoss'>>(0);
demand<SameCheck<[2, 3], [3], 'mseLoss'>>(0); // error: "mseLoss: shapes differ: got input [2, 3] and target [3], expected one shape"
demand<StackCheck<[[2, 3], [2, 3]], 3>>(0); // error: "stack: axis 3 out of range for shape [2, 3]"
