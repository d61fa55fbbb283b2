import {
  addmm,
  baddbmm,
  bmm,
  dot,
  einsum,
  kron,
  mv,
  outer,
  tensordot,
  zeros,
  type AnyTensor,
  type Shape,
  type Tensor,
} from 'hadal';
import { expectType } from './expect';

declare const n: number;
declare const anyShape: Tensor;
declare const anything: AnyTensor;
declare const equation: string;
declare const list: AnyTensor[];
const [a, b] = [zeros([2, 3]), zeros([3, 4])];
const v = zeros([3]);

// Einsum.
expectType<Tensor<[2, 4]>>().of(einsum('ij,jk->ik', a, b));
expectType<Tensor<[4, 2]>>().of(einsum(' ij, jk -> ki ', a, b));
expectType<Tensor<[]>>().of(einsum('ij->', a));
expectType<Tensor<[5]>>().of(einsum('ii->i', zeros([5, 5])));
expectType<Tensor<[2, 3]>>().of(einsum('ij,ij->ij', zeros([1, 3]), zeros([2, 1])));
expectType<Tensor<[number, 4]>>().of(einsum('ij,jk->ik', zeros([n, 3]), b));
expectType<Tensor<[2, 4], 'float64'>>().of(einsum('ij,jk->ik', a, zeros([3, 4], { dtype: 'float64' })));
expectType<Tensor<[8, 6, 16, 20]>>().of(einsum('bqhd,bkhd->bhqk', zeros([8, 16, 6, 64]), zeros([8, 20, 6, 64])));
expectType<Tensor<[number, 4]>>().of(einsum('ij,jk->ik', anyShape, b));
expectType<Tensor>().of(einsum('ij,jk', a, b));
expectType<Tensor>().of(einsum('...j,jk->...k', a, b));
expectType<Tensor>().of(einsum(equation, a, b));
export const listed: AnyTensor = einsum('ij,jk->ik', ...list);
einsum('ij,jk->ik', a, zeros([2, 4])); // error: "einsum: sizes of j differ"
einsum('ij,jk', a, zeros([2, 4])); // error: "einsum: sizes of j differ"
einsum('ij,jk->ik', a); // error: "einsum: operands: got 1, expected 2"
einsum('ijk->k', a); // error: "einsum: wrong rank: got shape [2, 3], expected one axis for each letter of ijk"
einsum('i,j->ij', v, a); // error: "einsum: wrong rank: got shape [2, 3], expected one axis for each letter of j"

// Tensordot.
expectType<Tensor<[2, 5]>>().of(tensordot(zeros([2, 3, 4]), zeros([3, 4, 5])));
expectType<Tensor<[2, 4]>>().of(a.tensordot(b, 1));
expectType<Tensor<[2, 3, 3, 4]>>().of(a.tensordot(b, 0));
expectType<Tensor>().of(a.tensordot(b, [[1], [0]]));
expectType<Tensor>().of(tensordot(anyShape, b, n));
tensordot(a, zeros([2, 4]), 1); // error: "tensordot: sizes differ: got a [2, 3] and b [2, 4], expected the last 1 of a as the first of b"
v.tensordot(v); // error: "tensordot: sizes differ: got a [3] and b [3], expected the last 2 of a as the first of b"

// Fixed ranks.
expectType<Tensor<[]>>().of(dot(v, v));
expectType<Tensor<[2]>>().of(a.mv(v));
expectType<Tensor<[5, 2, 4]>>().of(bmm(zeros([5, 2, 3]), zeros([5, 3, 4])));
expectType<Tensor<[3, 4]>>().of(v.outer(zeros([4])));
expectType<Tensor<[2, 4]>>().of(addmm(zeros([4]), a, b));
expectType<Tensor<[5, 2, 4]>>().of(baddbmm(zeros([]), zeros([5, 2, 3]), zeros([5, 3, 4])));
expectType<Tensor<[6, 12]>>().of(kron(a, b));
expectType<Tensor<[2, 9]>>().of(a.kron(v));
expectType<Tensor>().of(mv(anyShape, anyShape));
export const scalar: AnyTensor = dot(anything, anything);
dot(v, zeros([4])); // error: "dot: inner sizes differ: 3 vs 4"
dot(a, v); // error: "dot: wrong rank: got shape [2, 3], expected [n]"
mv(v, v); // error: "mv: wrong rank: got shape [3], expected [m, n]"
a.mv(zeros([2])); // error: "mv: inner sizes differ: 3 vs 2"
bmm(zeros([5, 2, 3]), zeros([4, 3, 2])); // error: "bmm: shapes [5] and [4] do not broadcast: 5 vs 4 at axis -1"
outer(a, v); // error: "outer: wrong rank: got shape [2, 3], expected [n]"
addmm(zeros([3]), a, b); // error: "addmm: shapes [3] and [2, 4] do not broadcast: 3 vs 4 at axis -1"
addmm(v, a, zeros([2, 3])); // error: "addmm: inner sizes differ: 3 vs 2"
export const unknownShapes = (x: Tensor<Shape>, y: Tensor<Shape>): Tensor => einsum('ab,bc->ac', x, y.kron(x));
