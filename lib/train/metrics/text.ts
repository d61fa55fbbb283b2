/** Metrics of text: perplexity of a language model, BLEU and ROUGE of texts, error rates of transcripts. All but the first count on the host. */
import { ArgumentError } from '../../errors';
import { tensor } from '../../ops/creation';
import { checkOptions } from '../../ops/define';
import { crossEntropy } from '../../ops/losses';
import { checkCount, checkFinite, checkList, checkString } from '../../tensor/checks';
import { shown } from '../../tensor/describe';
import type { AnyTensor } from '../../tensor/tensor';
import { checkInputs, RatioMetric, sumsOf, SumMetric } from './metric';

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
export class Perplexity extends RatioMetric<[logits: AnyTensor, targets: AnyTensor]> {
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

  protected override evaluate(sums: Float64Array): number {
    return Math.exp(super.evaluate(sums));
  }
}

/** A text as tokens: words, characters or the numbers of a vocabulary. */
export type Tokens = readonly (string | number)[];

type Compared = [candidates: readonly Tokens[], references: readonly (readonly Tokens[])[]];

/** Throws unless these are texts with one reference or more for each. */
function checkTexts(metric: string, [candidates, references]: Compared): void {
  checkList(metric, 'candidates', candidates);
  checkList(metric, 'references', references);
  candidates.forEach((text, i) => checkList(metric, `candidates[${i}]`, text));
  references.forEach((texts, i) => {
    checkList(metric, `references[${i}]`, texts);
    texts.forEach((text, j) => checkList(metric, `references[${i}][${j}]`, text));
  });
  if (candidates.length === references.length && references.every((each) => each.length > 0)) return;
  throw new ArgumentError(
    `${metric}: references: got ${references.map((each) => each.length).join(', ')} for ${candidates.length} texts, expected one or more for each text`,
  );
}

/** Sums that were counted on the host. */
const hostSums = (sums: readonly number[]): AnyTensor => tensor(sums, { dtype: 'float64', device: 'cpu' }) as AnyTensor;

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
export class Bleu extends SumMetric<Compared> {
  protected readonly length: number;
  readonly #order: number;
  readonly #smooth: boolean;

  constructor(options: BleuOptions = {}) {
    super();
    checkOptions('Bleu', options);
    const { maxOrder = 4, smooth = false } = options;
    checkCount('Bleu', 'maxOrder', maxOrder);
    this.#order = maxOrder;
    this.#smooth = smooth;
    this.length = 2 * maxOrder + 2;
  }

  /** Of each length of run: how many occur in a reference, and how many there are; then the lengths of the texts and of their references. */
  protected measure(...[candidates, references]: Compared): AnyTensor {
    checkTexts('Bleu', [candidates, references]);
    const matches = new Array<number>(this.#order).fill(0);
    const runs = new Array<number>(this.#order).fill(0);
    let [length, referenceLength] = [0, 0];
    candidates.forEach((candidate, i) => {
      const own = references[i]!;
      length += candidate.length;
      const distance = (length: number): number => Math.abs(length - candidate.length);
      const lengths = own.map(({ length }) => length);
      referenceLength += lengths.reduce((best, length) =>
        distance(length) < distance(best) || (distance(length) === distance(best) && length < best) ? length : best,
      );
      for (let order = 1; order <= this.#order; order++) {
        const inReferences = own.map((reference) => runsOf(reference, order));
        for (const [run, times] of runsOf(candidate, order)) {
          const most = Math.max(...inReferences.map((runs) => runs.get(run) ?? 0));
          matches[order - 1]! += Math.min(times, most);
          runs[order - 1]! += times;
        }
      }
    });
    return hostSums([...matches, ...runs, length, referenceLength]);
  }

  protected evaluate(sums: Float64Array): number {
    const [length, referenceLength] = sums.subarray(-2) as unknown as [number, number];
    if (length === 0) return NaN;
    const logs = Array.from({ length: this.#order }, (_, i) => {
      const extra = this.#smooth && i > 0 ? 1 : 0;
      return Math.log((sums[i]! + extra) / (sums[this.#order + i]! + extra));
    });
    const mean = logs.reduce((sum, log) => sum + log, 0) / this.#order;
    const score = Math.exp(mean + Math.min(0, 1 - referenceLength / length));
    return Number.isNaN(score) ? 0 : score; // texts shorter than the longest runs have none
  }
}

/**
 * ROUGE, 0 to 1, the mean over texts: the harmonic mean of the shares of a text's and of its reference's tokens that both have, in runs of `order` tokens
 * (ROUGE-1, ROUGE-2) or, with `'L'`, as their longest common subsequence (ROUGE-L). Of several references the best counts. Counts are
 * kept on the host.
 *
 * @throws ArgumentError when the order is none, or a text has no reference.
 * @see Lin, 2004, ROUGE: a package for automatic evaluation of summaries.
 * @example
 * const rouge = new train.Rouge('L');
 * const words = (text: string) => text.split(' ');
 * rouge.update([words('police killed the gunman')], [[words('police kill the gunman')]]);
 * await rouge.compute(); // 0.75
 */
export class Rouge extends RatioMetric<Compared> {
  constructor(readonly order: number | 'L' = 'L') {
    super();
    if (order === 'L' || (Number.isSafeInteger(order) && order > 0)) return;
    throw new ArgumentError(`Rouge: order: got ${shown(order)}, expected an integer of at least 1, or L`);
  }

  protected measure(...[candidates, references]: Compared): AnyTensor {
    checkTexts('Rouge', [candidates, references]);
    const scores = candidates.map((text, i) =>
      Math.max(...references[i]!.map((reference) => this.#score(text, reference))),
    );
    return hostSums([scores.reduce((sum, score) => sum + score, 0), scores.length]);
  }

  #score(text: Tokens, reference: Tokens): number {
    const { order } = this;
    if (order === 'L') {
      const both = text.length + reference.length;
      return (both - editDistance(text, reference, 2)) / Math.max(both, 1);
    }
    const inReference = runsOf(reference, order);
    let matches = 0;
    for (const [run, times] of runsOf(text, order)) matches += Math.min(times, inReference.get(run) ?? 0);
    const runs = ({ length }: Tokens): number => Math.max(length - order + 1, 0);
    return (2 * matches) / Math.max(runs(text) + runs(reference), 1);
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

/** The fewest insertions, deletions (1 each) and substitutions (`substitution` each) that make one sequence the other. */
function editDistance(from: Tokens, to: Tokens, substitution = 1): number {
  const row = Uint32Array.from({ length: to.length + 1 }, (_, j) => j);
  from.forEach((token, i) => {
    let diagonal = i;
    row[0] = i + 1;
    for (let j = 0; j < to.length; j++) {
      const above = row[j + 1]!;
      row[j + 1] = token === to[j] ? diagonal : Math.min(diagonal + substitution, above + 1, row[j]! + 1);
      diagonal = above;
    }
  });
  return row[to.length]!;
}

abstract class ErrorRate extends RatioMetric<[candidates: readonly string[], references: readonly string[]]> {
  protected abstract split(text: string): Tokens;

  protected measure(candidates: readonly string[], references: readonly string[]): AnyTensor {
    const { name } = this.constructor;
    for (const [what, texts] of Object.entries({ candidates, references })) {
      checkList(name, what, texts);
      texts.forEach((text, i) => checkString(name, `${what}[${i}]`, text));
    }
    if (candidates.length !== references.length) {
      throw new ArgumentError(
        `${name}: references: got ${references.length} for ${candidates.length} texts, expected one for each text`,
      );
    }
    let [errors, length] = [0, 0];
    references.forEach((text, i) => {
      const reference = this.split(text);
      errors += editDistance(this.split(candidates[i]!), reference);
      length += reference.length;
    });
    return hostSums([errors, length]);
  }
}

/**
 * The word error rate of transcripts: how many words are inserted, deleted or substituted, by the words of the references. Words are what white space
 * parts. Infinite where references have no word and texts have. Counts are kept on the host.
 *
 * @throws ArgumentError when there is not one reference for each text.
 * @see Morris, Maier and Green, 2004, From WER and RIL to MER and WIL.
 * @example
 * const errors = new train.WordErrorRate();
 * errors.update(['this is the prediction', 'there is an other sample'], ['this is the reference', 'there is another one']);
 * await errors.compute(); // 0.5
 */
export class WordErrorRate extends ErrorRate {
  protected split(text: string): Tokens {
    return text.match(/\S+/g) ?? [];
  }
}

/**
 * The character error rate of transcripts: how many characters (code points, white space among them) are inserted, deleted or substituted, by the
 * characters of the references. Infinite where references have none and texts have. Counts are kept on the host.
 *
 * @throws ArgumentError when there is not one reference for each text.
 * @see Morris, Maier and Green, 2004, From WER and RIL to MER and WIL.
 * @example
 * const errors = new train.CharErrorRate();
 * errors.update(['this is the prediction'], ['this is the reference']);
 * await errors.compute(); // 0.381
 */
export class CharErrorRate extends ErrorRate {
  protected split(text: string): Tokens {
    return [...text];
  }
}
