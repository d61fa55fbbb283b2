import { collate, padCollate, type Collated } from '../../lib/data/collate';
import { DataLoader } from '../../lib/data/loader';
import { TensorDataset, type Dataset, type Rows } from '../../lib/data/dataset';
import type { ArrayItem } from '../../lib/tensor/array-item';
import type { Shape } from '../../lib/tensor/shape-types';
import type { AnyTensor, Tensor } from '../../lib/tensor/tensor';
import { expectType, type Equal, type Expect } from './expect';

type Batch = [Tensor<Shape>, Tensor<Shape, 'int32'>];
type Numbers = Tensor<Shape, 'int32' | 'float32'>;

export type Batches = [
  Expect<Equal<Rows<[Tensor<[100, 4]>, Tensor<[100], 'int32'>]>, Batch>>,
  Expect<Equal<Rows<AnyTensor[]>, AnyTensor[]>>,
  Expect<Equal<Collated<Batch>, Batch>>,
  Expect<Equal<Collated<AnyTensor[]>, AnyTensor[]>>,
  Expect<Equal<Collated<Float32Array>, Tensor<Shape>>>,
  Expect<Equal<Collated<Uint8ClampedArray | BigInt64Array>, Tensor<Shape, 'uint8' | 'int64'>>>,
  Expect<Equal<Collated<ArrayItem>, AnyTensor>>,
  Expect<Equal<Collated<{ dtype: 'float16'; shape: number[]; data: Uint16Array }>, Tensor<Shape, 'float16'>>>,
  Expect<Equal<Collated<{ dtype: string; shape: number[]; data: Float32Array }>, AnyTensor>>,
  Expect<Equal<Collated<number>, Numbers>>,
  Expect<Equal<Collated<boolean>, Tensor<Shape, 'bool'>>>,
  Expect<Equal<Collated<'left' | 'right'>, ('left' | 'right')[]>>,
  Expect<Equal<Collated<readonly [Float64Array, number]>, [Tensor<Shape, 'float64'>, Numbers]>>,
  Expect<Equal<Collated<any>, any>>,
  Expect<Equal<Collated<unknown>, unknown>>,
];

declare const images: Tensor<[100, 4]>;
declare const labels: Tensor<[100], 'int32'>;
export const loader = new DataLoader(new TensorDataset(images, labels), { batchSize: 10 });
expectType<DataLoader<Batch>>().of(loader);

interface Sentence {
  readonly words: Int32Array;
  readonly length: number;
  readonly text: string;
}
declare const sentences: Dataset<Sentence>;
interface Sentences {
  words: Tensor<Shape, 'int32'>;
  length: Numbers;
  text: string[];
}
expectType<Sentences>().of(collate([] as Sentence[]));
export const plain = new DataLoader(sentences, { batchSize: 10 });
export const padded = new DataLoader(sentences, { batchSize: 10, collate: padCollate({ value: -1 }) });
export const counted = new DataLoader(sentences, { collate: (items) => items.length });
export async function use(): Promise<void> {
  for await (const { words } of plain) expectType<Tensor<Shape, 'int32'>>().of(words);
  for await (const { words, text } of padded) {
    expectType<Tensor<Shape, 'int32'>>().of(words);
    expectType<string[]>().of(text);
  }
  for await (const count of counted) expectType<number>().of(count);
}
