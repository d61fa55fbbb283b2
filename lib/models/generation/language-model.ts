/** What generation asks of a model; the models themselves are beside this folder. */
import { ShapeError } from '../../errors';
import type { AttentionCache } from '../../nn/multi-head-attention';
import { checkTensor } from '../../ops/define';
import type { LinearCrossEntropyOptions } from '../../ops/linear-cross-entropy';
import { show } from '../../tensor/shapes';
import type { AnyTensor } from '../../tensor/tensor';

export interface LanguageModelCall {
  /** Of the earlier tokens, as `makeCaches` makes them: this call's are added to them. */
  readonly caches?: readonly AttentionCache[];
  /** Which tokens are seen, [b, s]: bool (true: attend) or added to the scores. */
  readonly keyMask?: AnyTensor | undefined;
  /**
   * Where the tokens stand, [b, t], int32 or int64: each behind the one before, and the first behind those in the caches, unless given. T5 knows distances alone: it
   * passes over them.
   */
  readonly positions?: AnyTensor | undefined;
  /** Gives the logits of the last token alone, [b, 1, vocabulary]. */
  readonly lastOnly?: boolean;
}

export interface LanguageModelLossOptions
  extends
    Pick<LanguageModelCall, 'keyMask'>,
    Pick<LinearCrossEntropyOptions, 'reduction' | 'ignoreIndex' | 'labelSmoothing' | 'rowsAtOnce'> {}

/** What gives the logits [b, t, vocabulary] of what follows each token of [b, t]. */
export interface LanguageModel {
  /** The longest sequence; `Infinity` where there is none. */
  readonly context: number;
  /** A sequence that grows beyond this length is read anew, as its earlier tokens then differ from those in caches; none unless given. */
  readonly rereadAfter?: number | undefined;
  /** Tokens that are not made; none unless given. */
  readonly never?: readonly number[] | undefined;
  /** Tokens that are not made first; none unless given. */
  readonly neverFirst?: readonly number[] | undefined;
  /** Caches of nothing, for the layers; the first one counts the tokens. */
  makeCaches(): AttentionCache[];
  forward(tokens: AnyTensor, call?: LanguageModelCall): AnyTensor;
  /** Of a model that writes the targets of sources: the same for those sources of the batch that `rows` [n], int32 or int64, names, in its order. */
  select?(rows: AnyTensor): LanguageModel;
}

/** What reads a source before it writes a target. */
export interface SequenceToSequenceModel {
  /** The token before the first one of a target. */
  readonly start: number;
  /** A model of the targets of sources, as token numbers [b, s]; `keyMask`, bool [b, s], says which of them are seen. */
  given(source: AnyTensor, call?: Pick<LanguageModelCall, 'keyMask'>): LanguageModel;
}

/** Throws unless `tokens` are [b, t] and fit in the context behind those before. Answers t. */
export function checkTokens(owner: string, tokens: AnyTensor, past: number, context: number): number {
  checkTensor(owner, tokens, 'tokens');
  const length = tokens.shape[1] ?? 0;
  if (tokens.rank !== 2) throw new ShapeError(`${owner}: tokens: got shape ${show(tokens.shape)}, expected [b, t]`);
  if (past + length <= context) return length;
  throw new ShapeError(`${owner}: tokens: got ${past + length} in a sequence, expected at most ${context}`);
}
