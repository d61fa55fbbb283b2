/** Distances and similarities as layers. */
import { checkOptions } from '../ops/define';
import {
  cosineSimilarity,
  pairwiseDistance,
  type CosineSimilarityOptions,
  type PairwiseDistanceOptions,
} from '../ops/distances';
import type { AnyTensor } from '../tensor/tensor';
import { Module } from './module';

/** The cosine of the angle between vectors along an axis; see `nn.functional.cosineSimilarity`. */
export class CosineSimilarity extends Module {
  constructor(readonly options: CosineSimilarityOptions = {}) {
    super();
    checkOptions('CosineSimilarity', options);
  }

  forward(a: AnyTensor, b: AnyTensor): AnyTensor {
    return cosineSimilarity(a, b, this.options);
  }
}

/** The distance of vectors along the last axis; see `nn.functional.pairwiseDistance`. */
export class PairwiseDistance extends Module {
  constructor(readonly options: PairwiseDistanceOptions = {}) {
    super();
    checkOptions('PairwiseDistance', options);
  }

  forward(a: AnyTensor, b: AnyTensor): AnyTensor {
    return pairwiseDistance(a, b, this.options);
  }
}
