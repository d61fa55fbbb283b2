/** Losses as layers. Each applies the function of its name with the options that it was made with. */
import { ctcLoss, type CtcOptions } from '../ops/ctc';
import { checkOptions } from '../ops/define';
import {
  bceWithLogits,
  crossEntropy,
  mseLoss,
  type BceWithLogitsOptions,
  type CrossEntropyOptions,
  type LossOptions,
} from '../ops/losses';
import {
  cosineEmbeddingLoss,
  hingeEmbeddingLoss,
  infoNce,
  marginRankingLoss,
  multiLabelMarginLoss,
  multiLabelSoftMarginLoss,
  multiMarginLoss,
  softMarginLoss,
  tripletMarginLoss,
  type InfoNceOptions,
  type MarginOptions,
  type MultiLabelSoftMarginOptions,
  type MultiMarginOptions,
  tripletMarginWithDistanceLoss,
  type TripletMarginOptions,
  type TripletMarginWithDistanceOptions,
} from '../ops/margin-losses';
import {
  bceLoss,
  gaussianNllLoss,
  huberLoss,
  klDiv,
  l1Loss,
  nllLoss,
  poissonNllLoss,
  smoothL1Loss,
  type BceOptions,
  type GaussianNllOptions,
  type HuberOptions,
  type KlDivOptions,
  type NllOptions,
  type PoissonNllOptions,
  type SmoothL1Options,
} from '../ops/regression-losses';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { Module } from './module';

/** A loss with its options; weights among them are part of the state, under PyTorch's names (`weight`, `pos_weight`). */
abstract class LossModule<O extends object> extends Module {
  constructor(readonly options: O = {} as O) {
    super();
    checkOptions(new.target.name, options);
    for (const value of Object.values(options)) if (value instanceof Tensor) value.keep();
  }

  protected override fields(): Iterable<[string, unknown]> {
    return Module.namedFields(this.options);
  }
}

/** |input − target|; see `nn.functional.l1Loss`. */
export class L1Loss extends LossModule<LossOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return l1Loss(input, target, this.options);
  }
}

/** (input − target)²; see `nn.functional.mseLoss`. */
export class MSELoss extends LossModule<LossOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return mseLoss(input, target, this.options);
  }
}

/** A square near zero, linear beyond β; see `nn.functional.smoothL1Loss`. */
export class SmoothL1Loss extends LossModule<SmoothL1Options> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return smoothL1Loss(input, target, this.options);
  }
}

/** A square up to δ, linear beyond; see `nn.functional.huberLoss`. */
export class HuberLoss extends LossModule<HuberOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return huberLoss(input, target, this.options);
  }
}

/** −log softmax(input)[target]; see `nn.functional.crossEntropy`. */
export class CrossEntropyLoss extends LossModule<CrossEntropyOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return crossEntropy(input, target, this.options);
  }
}

/** −input[target] of log-probabilities; see `nn.functional.nllLoss`. */
export class NLLLoss extends LossModule<NllOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return nllLoss(input, target, this.options);
  }
}

/** Binary cross entropy of probabilities; see `nn.functional.bceLoss`. */
export class BCELoss extends LossModule<BceOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return bceLoss(input, target, this.options);
  }
}

/** Binary cross entropy of logits; see `nn.functional.bceWithLogits`. */
export class BCEWithLogitsLoss extends LossModule<BceWithLogitsOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return bceWithLogits(input, target, this.options);
  }
}

/** The divergence of target probabilities from log-probabilities; see `nn.functional.klDiv`. */
export class KLDivLoss extends LossModule<KlDivOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return klDiv(input, target, this.options);
  }
}

/** The negative log-likelihood of counts under Poisson distributions; see `nn.functional.poissonNllLoss`. */
export class PoissonNLLLoss extends LossModule<PoissonNllOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return poissonNllLoss(input, target, this.options);
  }
}

/** log(1 + exp(−target·input)); see `nn.functional.softMarginLoss`. */
export class SoftMarginLoss extends LossModule<LossOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return softMarginLoss(input, target, this.options);
  }
}

/** Distances of like pairs, and how far those of unlike ones are below a margin; see `nn.functional.hingeEmbeddingLoss`. */
export class HingeEmbeddingLoss extends LossModule<MarginOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return hingeEmbeddingLoss(input, target, this.options);
  }
}

/** How far scores of target classes are less than 1 above the others; see `nn.functional.multiLabelMarginLoss`. */
export class MultiLabelMarginLoss extends LossModule<LossOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return multiLabelMarginLoss(input, target, this.options);
  }
}

/** Binary cross entropy of logits, averaged over classes; see `nn.functional.multiLabelSoftMarginLoss`. */
export class MultiLabelSoftMarginLoss extends LossModule<MultiLabelSoftMarginOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return multiLabelSoftMarginLoss(input, target, this.options);
  }
}

/** How far the score of the target is less than a margin above the others; see `nn.functional.multiMarginLoss`. */
export class MultiMarginLoss extends LossModule<MultiMarginOptions> {
  forward(input: AnyTensor, target: AnyTensor): AnyTensor {
    return multiMarginLoss(input, target, this.options);
  }
}

/** The negative log-likelihood of targets under normal distributions; see `nn.functional.gaussianNllLoss`. */
export class GaussianNLLLoss extends LossModule<GaussianNllOptions> {
  forward(input: AnyTensor, target: AnyTensor, variance: AnyTensor): AnyTensor {
    return gaussianNllLoss(input, target, variance, this.options);
  }
}

/** How unlike the directions of like pairs are, and how alike those of unlike ones; see `nn.functional.cosineEmbeddingLoss`. */
export class CosineEmbeddingLoss extends LossModule<MarginOptions> {
  forward(a: AnyTensor, b: AnyTensor, target: AnyTensor): AnyTensor {
    return cosineEmbeddingLoss(a, b, target, this.options);
  }
}

/** How far a pair is from being ranked as the target says; see `nn.functional.marginRankingLoss`. */
export class MarginRankingLoss extends LossModule<MarginOptions> {
  forward(a: AnyTensor, b: AnyTensor, target: AnyTensor): AnyTensor {
    return marginRankingLoss(a, b, target, this.options);
  }
}

/** How far the positive is from being nearer than the negative by a margin; see `nn.functional.tripletMarginLoss`. */
export class TripletMarginLoss extends LossModule<TripletMarginOptions> {
  forward(anchor: AnyTensor, positive: AnyTensor, negative: AnyTensor): AnyTensor {
    return tripletMarginLoss(anchor, positive, negative, this.options);
  }
}

/** The same with any distance; see `nn.functional.tripletMarginWithDistanceLoss`. */
export class TripletMarginWithDistanceLoss extends LossModule<TripletMarginWithDistanceOptions> {
  forward(anchor: AnyTensor, positive: AnyTensor, negative: AnyTensor): AnyTensor {
    return tripletMarginWithDistanceLoss(anchor, positive, negative, this.options);
  }
}

/** The contrastive loss of queries and their positives; see `nn.functional.infoNce`. */
export class InfoNCELoss extends LossModule<Omit<InfoNceOptions, 'negatives'>> {
  forward(query: AnyTensor, positive: AnyTensor, negatives?: AnyTensor): AnyTensor {
    return infoNce(query, positive, { ...this.options, ...(negatives && { negatives }) });
  }
}

/** The negative log-likelihood of label sequences over all alignments; see `nn.functional.ctcLoss`. */
export class CTCLoss extends LossModule<CtcOptions> {
  forward(
    logProbs: AnyTensor,
    targets: AnyTensor,
    inputLengths: AnyTensor | readonly number[],
    targetLengths: AnyTensor | readonly number[],
  ): AnyTensor {
    return ctcLoss(logProbs, targets, inputLengths, targetLengths, this.options);
  }
}
