/** Metrics of text: perplexity of a language model, BLEU of translations. */
import { ArgumentError } from '../../errors';
import { crossEntropy } from '../../ops/losses';
import { checkOptions } from '../../ops/define';
import { checkCount, checkFinite, checkList } from '../../tensor/checks';
import type { AnyTensor } from '../../tensor/tensor';
import { checkInputs, sumsOf, SumMetric, type Metric, type MetricState } from './metric';

/**
 * The exponential of the mean negative log-likelihood: how many tokens a model hesitates between. Logits are [n, vocabulary] or [b, t, vocabulary],
 * targets the same without the last axis.
 *
 * @throws ShapeError when they do not fit; IndexError at `compute` when a target is no token.
 * @example
 * const perplexity = new train.Perplexity();
 * perplexity.update(zeros([2, 5, 100]), zeros([2, 5], { dtype: 'int32' }));
 * await perplexity.compute(); // 100
 */
export class Perplexity extends SumMetric<[logits: AnyTensor, targets: AnyTensor]> {
  protected readonly length = 2;
  readonly #ignoreIndex: number;

  constructor(options: { readonly ignoreIndex?: number } = {}) {
    super();
    checkOptions('Perplexity', options);
    this.#ignoreIndex = options.ignoreIndex ?? -100;
    checkFinite('Perplexity', 'ignoreIndex', this.#ignoreIndex);
  }

  protected measure(logits: AnyTensor, targets: AnyTensor): AnyTensor {
    checkInputs('Perplexity', logits, targets, 'logits');
    const ignoreIndex = this.#ignoreIndex;
    const rows = logits.detach().reshape([-1, logits.shape.at(-1) ?? 1]) as AnyTensor;
    const flat = targets.reshape([-1]) as AnyTensor;
    const losses = crossEntropy(rows, flat as never, { reduction: 'none', ignoreIndex }) as AnyTensor;
    return sumsOf(losses.cast('float64').sum(), flat.notEqual(ignoreIndex).cast('float64').sum());
  }

  protected evaluate(sums: Float64Array): number {
    return Math.exp(sums[0]! / sums[1]!);
  }
}

/** A text as tokens: words, characters or the numbers of a vocabulary. */
export type Tokens = readonly (string | number)[];

export interface BleuOptions {
  /** Up to how many tokens in a row are compared; 4 unless given. */
  readonly maxOrder?: number;
  /** Adds one to the counts of runs of two tokens and more, so that a short text without a match does not make the score 0; false unless given. */
  readonly smooth?: boolean;
}

/**
 * BLEU of a whole corpus, 0 to 1: the geometric mean of the shares of runs of tokens that occur in a reference, times a penalty for
 * texts that are too short. Counts are kept on the host.
 *
 * @see Papineni et al., 2002, BLEU: a method for automatic evaluation of machine translation; for smoothing Lin and Och, 2004.
 * @example
 * const bleu = new train.Bleu();
 * const words = (text: string) => text.split(' ');
 * bleu.update([words('the cat is on the mat')], [[words('there is a cat on the mat'), words('a cat is on the mat')]]);
 * await bleu.compute(); // 0.7598
 */
export class Bleu implements Metric<
  [candidates: readonly Tokens[], references: readonly (readonly Tokens[])[]],
  number
> {
  readonly #order: number;
  readonly #smooth: boolean;
  /** Of each length of run: how many occur in a reference, and how many there are. */
  #matches: number[] = [];
  #runs: number[] = [];
  #length = 0;
  #referenceLength = 0;

  constructor(options: BleuOptions = {}) {
    checkOptions('Bleu', options);
    const { maxOrder = 4, smooth = false } = options;
    checkCount('Bleu', 'maxOrder', maxOrder);
    this.#order = maxOrder;
    this.#smooth = smooth;
    this.reset();
  }

  /** Adds texts, each with one reference or more. */
  update(candidates: readonly Tokens[], references: readonly (readonly Tokens[])[]): void {
    checkList('Bleu', 'candidates', candidates);
    checkList('Bleu', 'references', references);
    candidates.forEach((text, i) => checkList('Bleu', `candidates[${i}]`, text));
    references.forEach((texts, i) => {
      checkList('Bleu', `references[${i}]`, texts);
      texts.forEach((text, j) => checkList('Bleu', `references[${i}][${j}]`, text));
    });
    if (candidates.length !== references.length || references.some((each) => each.length === 0)) {
      throw new ArgumentError(
        `Bleu: references: got ${references.map((each) => each.length).join(', ')} for ${candidates.length} texts, expected one or more for each text`,
      );
    }
    candidates.forEach((candidate, i) => {
      const own = references[i]!;
      this.#length += candidate.length;
      const distance = (length: number): number => Math.abs(length - candidate.length);
      const lengths = own.map(({ length }) => length);
      this.#referenceLength += lengths.reduce((best, length) =>
        distance(length) < distance(best) || (distance(length) === distance(best) && length < best) ? length : best,
      );
      for (let order = 1; order <= this.#order; order++) {
        const inReferences = own.map((reference) => runsOf(reference, order));
        for (const [run, times] of runsOf(candidate, order)) {
          const most = Math.max(...inReferences.map((runs) => runs.get(run) ?? 0));
          this.#matches[order - 1]! += Math.min(times, most);
          this.#runs[order - 1]! += times;
        }
      }
    });
  }

  compute(): Promise<number> {
    if (this.#length === 0) return Promise.resolve(NaN);
    const logs = this.#matches.map((matches, i) => {
      const extra = this.#smooth && i > 0 ? 1 : 0;
      return Math.log((matches + extra) / (this.#runs[i]! + extra));
    });
    const mean = logs.reduce((sum, log) => sum + log, 0) / this.#order;
    const penalty = Math.min(0, 1 - this.#referenceLength / this.#length);
    const score = Math.exp(mean + penalty);
    return Promise.resolve(Number.isNaN(score) ? 0 : score); // texts shorter than the longest runs have none
  }

  reset(): void {
    this.#matches = new Array<number>(this.#order).fill(0);
    this.#runs = new Array<number>(this.#order).fill(0);
    this.#length = 0;
    this.#referenceLength = 0;
  }

  stateDict(): MetricState {
    const [matches, runs] = [[...this.#matches], [...this.#runs]];
    return { matches, runs, length: this.#length, referenceLength: this.#referenceLength };
  }

  loadStateDict(state: MetricState): void {
    const { matches, runs, length, referenceLength } = state as ReturnType<Bleu['stateDict']> & {
      readonly matches: readonly number[];
      readonly runs: readonly number[];
      readonly length: number;
      readonly referenceLength: number;
    };
    if (matches.length !== this.#order) {
      throw new ArgumentError(`Bleu: state: got runs up to ${matches.length}, expected up to ${this.#order}`);
    }
    this.#matches = [...matches];
    this.#runs = [...runs];
    this.#length = length;
    this.#referenceLength = referenceLength;
  }
}

/** How often each run of `order` tokens occurs. The number 1 and the string '1' are different tokens. */
function runsOf(tokens: Tokens, order: number): Map<string, number> {
  const runs = new Map<string, number>();
  for (let start = 0; start + order <= tokens.length; start++) {
    const run = JSON.stringify(tokens.slice(start, start + order));
    runs.set(run, (runs.get(run) ?? 0) + 1);
  }
  return runs;
}
