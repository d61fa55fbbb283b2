import { DataLoader } from '../../lib/data/loader';
import { TensorDataset, type Rows } from '../../lib/data/dataset';
import type { Shape } from '../../lib/tensor/shape-types';
import type { AnyTensor, Tensor } from '../../lib/tensor/tensor';
import { expectType, type Equal, type Expect } from './expect';

type Batch = [Tensor<Shape>, Tensor<Shape, 'int32'>];

export type Batches = [
  Expect<Equal<Rows<[Tensor<[100, 4]>, Tensor<[100], 'int32'>]>, Batch>>,
  Expect<Equal<Rows<AnyTensor[]>, AnyTensor[]>>,
];

declare const images: Tensor<[100, 4]>;
declare const labels: Tensor<[100], 'int32'>;
export const loader = new DataLoader(new TensorDataset(images, labels), { batchSize: 10 });
expectType<DataLoader<Batch>>().of(loader);
