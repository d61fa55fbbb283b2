/** Models that read a source and write a target: what they share. */
import { isGradEnabled } from '../autograd/modes';
import { Module } from '../nn/module';
import { AttentionCache, type AttentionCall } from '../nn/multi-head-attention';
import { full } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { linearCrossEntropy } from '../ops/linear-cross-entropy';
import { linear } from '../ops/matmul';
import { cat } from '../ops/movement';
import { where } from '../ops/pointwise-compare';
import type { AnyTensor } from '../tensor/tensor';
import {
  checkTokens,
  type LanguageModel,
  type LanguageModelCall,
  type LanguageModelLossOptions,
  type SequenceToSequenceModel,
} from './generation/language-model';

export interface EncoderDecoderCall extends LanguageModelCall {
  /** Which tokens of the source are seen, [b, s]: bool (true: attend) or added to the scores. */
  readonly sourceKeyMask?: AnyTensor | undefined;
}

export interface EncoderDecoderLossOptions
  extends LanguageModelLossOptions, Pick<EncoderDecoderCall, 'sourceKeyMask'> {}

/** What a decoder's layers attend to beside themselves. */
export interface Source extends Pick<AttentionCall, 'keyMask'> {
  /** [b, s, width] */
  readonly memory: AnyTensor;
  /** Of what the decoder's layers make of it. */
  readonly caches?: readonly AttentionCache[] | undefined;
}

/** The layer that makes logits of features. */
export interface OutputLayer {
  /** [vocabulary, width] */
  readonly weight: AnyTensor;
  /** [vocabulary] */
  readonly bias?: AnyTensor | undefined;
}

/**
 * An encoder of a source and a decoder that writes its target, as {@link T5}, {@link Bart} and {@link Whisper} are: what all can do. A source is token numbers [b, s], or
 * what else the model reads; s is how many features it makes of them.
 */
export abstract class EncoderDecoder extends Module implements SequenceToSequenceModel {
  /** The token before the first one of a target. */
  abstract readonly start: number;
  /** The longest target and, where it has tokens, the longest source. */
  abstract readonly context: number;
  /** Tokens that `models.generate` does not make. */
  readonly never: readonly number[] = [];
  /** Those that it does not make first. */
  readonly neverFirst: readonly number[] = [];

  /** The features of a source: [b, s, width]. */
  protected abstract read(source: AnyTensor, keyMask: AnyTensor | undefined): AnyTensor;
  /** Of target [b, t] and a source: [b, t, width], of which the logits are made. */
  protected abstract features(target: AnyTensor, call: LanguageModelCall, source: Source): AnyTensor;
  protected abstract output(): OutputLayer;
  /** Of the decoder. */
  protected abstract layerCount(): number;

  /** A source and token numbers of a target [b, t] to logits [b, t, vocabulary] of what follows each token of the target. */
  forward(source: AnyTensor, target: AnyTensor, call: EncoderDecoderCall = {}): AnyTensor {
    checkOptions(this.constructor.name, call, 'EncoderDecoder.forward');
    const { sourceKeyMask: keyMask, ...rest } = call;
    return this.logits(target, rest, { memory: this.read(source, keyMask), keyMask });
  }

  /** The features of a source: [b, s, width]. `keyMask` says which of them are seen; see {@link EncoderDecoderCall}. */
  encode(source: AnyTensor, call: Pick<LanguageModelCall, 'keyMask'> = {}): AnyTensor {
    checkOptions(this.constructor.name, call, 'EncoderDecoder.encode');
    return this.read(source, call.keyMask);
  }

  /**
   * The decoder for a source, which is read once: a language model of its target, as `models.generate` wants it. `keyMask` is for the source.
   *
   * @example
   * const model = new models.T5({ vocabulary: 100, width: 32, layers: 1, heads: 4, headSize: 8, hidden: 64 }).eval();
   * const decoder = model.given(randint(0, 100, [2, 7]));
   * decoder.forward(zeros([2, 1], { dtype: 'int32' })).shape; // [2, 1, 100]
   */
  given(source: AnyTensor, call: Pick<LanguageModelCall, 'keyMask'> = {}): LanguageModel {
    checkOptions(this.constructor.name, call, 'EncoderDecoder.given');
    const { keyMask } = call;
    return this.decoderOf({ memory: this.read(source, keyMask), keyMask, caches: this.makeCaches() });
  }

  /**
   * The cross entropy of the logits and the tokens `targets` [b, t], their end token too, for a source, without all logits at once: by
   * `nn.functional.linearCrossEntropy`, whose memory and time it has. The decoder reads `start` and the targets but for the last; `keyMask` is for these.
   */
  loss(source: AnyTensor, targets: AnyTensor, options: EncoderDecoderLossOptions = {}): AnyTensor {
    const owner = this.constructor.name;
    checkOptions(owner, options, 'EncoderDecoder.loss');
    const { sourceKeyMask, keyMask, ...rest } = options;
    const { start } = this;
    const length = checkTokens(owner, targets, 0, this.context);
    const { dtype, device } = targets;
    const before = targets.narrow(1, 0, length - 1);
    const readable = where(before.equalTo(rest.ignoreIndex ?? -100), start, before) as AnyTensor;
    const first = full([targets.shape[0]!, 1], start, { dtype, device });
    const read: Source = { memory: this.read(source, sourceKeyMask), keyMask: sourceKeyMask };
    const y = this.features(cat([first, readable.cast(dtype)], 1) as AnyTensor, { keyMask }, read);
    const { weight, bias } = this.output();
    return linearCrossEntropy(y, weight, targets, { ...rest, linearBias: bias });
  }

  private makeCaches(): AttentionCache[] {
    return Array.from({ length: this.layerCount() }, () => new AttentionCache());
  }

  private decoderOf(source: Source): LanguageModel {
    const { context, never, neverFirst } = this;
    return {
      context,
      never,
      neverFirst,
      makeCaches: () => this.makeCaches(),
      // What gradients are recorded of is made anew for each call.
      forward: (target, call = {}) =>
        this.logits(target, call, isGradEnabled() ? { ...source, caches: undefined } : source),
      select: (rows) => {
        const chosen = (x: AnyTensor): AnyTensor => (x.indexSelect(0, rows) as AnyTensor).keep();
        const { memory, keyMask, caches } = source;
        return this.decoderOf({
          memory: chosen(memory),
          keyMask: keyMask && chosen(keyMask),
          caches: caches?.map((cache) => cache.select(rows)),
        });
      },
    };
  }

  private logits(target: AnyTensor, call: LanguageModelCall, source: Source): AnyTensor {
    const { weight, bias } = this.output();
    return linear(this.features(target, call, source), weight, bias);
  }
}
