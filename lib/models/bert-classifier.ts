/** BERT and its relatives with heads that classify: a whole sequence, or each token of it. */
import { ArgumentError } from '../errors';
import { Linear } from '../nn/linear';
import { Module, type StateDict } from '../nn/module';
import { Dropout } from '../nn/regularization';
import { checkGivenOptions, checkOptions } from '../ops/define';
import { checkChoice, checkList } from '../tensor/checks';
import type { AnyTensor } from '../tensor/tensor';
import { Bert, type BertCall, type BertOptions } from './bert';
import { classifierTranslation, isBert, publishedOptions, tokenClassifierTranslation } from './bert-config';
import { initialize } from './initialize';
import { configured, readPublished, translated, type Config, type Translation } from './published';

export interface BertTokenClassifierOptions extends Omit<BertOptions, 'pooler'> {
  /** The names of the classes. */
  readonly labels: readonly string[];
  /** Of the features that the classes are told from, in training; as `dropout` unless given. */
  readonly classifierDropout?: number;
}

export interface BertClassifierOptions extends BertTokenClassifierOptions {
  /** What the layer that sums up the first token applies; `'tanh'` unless given. DistilBERT's is `'relu'`. */
  readonly pooler?: 'tanh' | 'relu';
}

export interface BertClassifierLoad {
  /** The names of the classes of a new head, which is to be trained; the head of the files unless given. */
  readonly labels?: readonly string[];
}

/** An encoder, and a layer that tells classes from its features. */
abstract class Classifier extends Module {
  readonly bert: Bert;
  readonly drop: Dropout;
  readonly classifier: Linear;
  readonly labels: readonly string[];

  constructor({ labels, classifierDropout, ...encoder }: BertTokenClassifierOptions & Pick<BertOptions, 'pooler'>) {
    super();
    checkList(new.target.name, 'labels', labels);
    const { width = 768, dropout = 0.1 } = encoder;
    this.labels = labels;
    this.bert = new Bert(encoder);
    this.drop = new Dropout(classifierDropout ?? dropout);
    this.classifier = new Linear(width, labels.length);
    initialize(this.classifier);
  }
}

/** The names of the classes of the head that a folder has. */
function publishedLabels(owner: string, { id2label }: Config, weights: Readonly<StateDict>): string[] {
  const head = weights['classifier.weight'] ?? weights['classifier.out_proj.weight'];
  if (head === undefined) {
    throw new ArgumentError(`${owner}: labels: got none for weights without a classifier, expected those of a new one`);
  }
  const names = (id2label ?? {}) as Readonly<Record<number, string>>;
  return Array.from({ length: head.shape[0]! }, (_, i) => names[i] ?? `LABEL_${i}`);
}

/** The weights of a folder in a model that `make` makes; those of the head are new where `labels` are given. */
async function loaded<M extends Classifier>(
  folder: string,
  { labels }: BertClassifierLoad,
  make: (options: BertTokenClassifierOptions, config: Config) => M,
  owner: string,
  translation: Translation,
): Promise<M> {
  const { config, weights } = await readPublished(owner, folder);
  const { pooler: _, ...encoder } = publishedOptions(owner, config, weights);
  const classifierDropout = config['classifier_dropout'] ?? undefined;
  const model = make(
    {
      ...encoder,
      labels: labels ?? publishedLabels(owner, config, weights),
      ...(classifierDropout !== undefined && { classifierDropout: configured(owner, config, 'classifier_dropout') }),
    },
    config,
  );
  if (labels === undefined) {
    model.loadStateDict(translated(owner, weights, translation));
    return model.eval();
  }
  // The pooler of BERT was trained with it, and is part of the encoder; that of others is part of the head.
  const ofHead = isBert(config) ? /^classifier\./ : /^(pre_)?classifier\.|^pooler\./;
  const ofEncoder = Object.entries(weights).filter(([name]) => !ofHead.test(name));
  const fresh = Object.entries(model.stateDict()).filter(([name]) => /^(classifier|bert\.pooler)\./.test(name));
  model.loadStateDict({
    ...Object.fromEntries(fresh),
    ...translated(owner, Object.fromEntries(ofEncoder), translation),
  });
  return model.eval();
}

/**
 * BERT, RoBERTa or DistilBERT that classifies sequences: token numbers [b, t] to logits [b, labels], from the features of the first token.
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for a sequence longer than the context.
 * @see Devlin et al., 2018, section 3.2; Liu et al., 2019; Sanh et al., 2019: see {@link Bert}.
 * @example
 * const labels = ['dull', 'funny', 'sad'];
 * const model = new models.BertClassifier({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4, labels });
 * const logits = model.forward(zeros([2, 5], { dtype: 'int32' }));
 * logits.shape; // [2, 3]
 * nn.functional.crossEntropy(logits, tensor([0, 2], { dtype: 'int32' })).backward();
 */
export class BertClassifier extends Classifier {
  constructor(options: BertClassifierOptions) {
    checkGivenOptions('BertClassifier', options);
    const { pooler = 'tanh' } = options;
    checkChoice('BertClassifier', 'pooler', pooler, ['tanh', 'relu']);
    super({ ...options, pooler });
  }

  /**
   * Reads a model that was published for the library transformers: a folder with `config.json` and weights (safetensors, sharded or not, or PyTorch's), with
   * the head that it has or, where `labels` are given, with a new one for fine-tuning. Its `model_type` is bert, roberta, xlm-roberta or distilbert.
   *
   * @throws FormatError, ArgumentError or ShapeError when the files are not those of such a model, or have no head and no labels are given.
   */
  static async load(folder: string, options: BertClassifierLoad = {}): Promise<BertClassifier> {
    checkOptions('BertClassifier', options, 'BertClassifier.load');
    const make = (made: BertTokenClassifierOptions, config: Config): BertClassifier => {
      if (config['model_type'] !== 'distilbert') return new BertClassifier(made);
      const classifierDropout = configured('BertClassifier', config, 'seq_classif_dropout', 0.2);
      return new BertClassifier({ ...made, pooler: 'relu', classifierDropout });
    };
    return loaded(folder, options, make, 'BertClassifier', classifierTranslation);
  }

  /** Takes over weights, those of the head too, under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    this.loadStateDict(translated('BertClassifier', weights, classifierTranslation));
  }

  forward(tokens: AnyTensor, call: BertCall = {}): AnyTensor {
    checkOptions('BertClassifier', call, 'BertClassifier.forward');
    return this.classifier.forward(this.drop.forward(this.bert.forward(tokens, call).pooled!));
  }
}

/**
 * BERT, RoBERTa or DistilBERT that classifies tokens, as for names in a text: token numbers [b, t] to logits [b, t, labels].
 *
 * @throws ArgumentError for sizes that do not fit; ShapeError for a sequence longer than the context.
 * @see Devlin et al., 2018, section 5.3; Liu et al., 2019; Sanh et al., 2019: see {@link Bert}.
 * @example
 * const labels = ['none', 'name', 'place'];
 * const model = new models.BertTokenClassifier({ vocabulary: 100, context: 16, width: 32, layers: 2, heads: 4, labels });
 * model.forward(zeros([2, 5], { dtype: 'int32' })).shape; // [2, 5, 3]
 */
export class BertTokenClassifier extends Classifier {
  constructor(options: BertTokenClassifierOptions) {
    checkGivenOptions('BertTokenClassifier', options);
    super({ ...options, pooler: false });
  }

  /** Reads a published model; see {@link BertClassifier.load}. */
  static async load(folder: string, options: BertClassifierLoad = {}): Promise<BertTokenClassifier> {
    checkOptions('BertTokenClassifier', options, 'BertTokenClassifier.load');
    const make = (made: BertTokenClassifierOptions): BertTokenClassifier => new BertTokenClassifier(made);
    return loaded(folder, options, make, 'BertTokenClassifier', tokenClassifierTranslation);
  }

  /** Takes over weights, those of the head too, under the names that the library transformers gives them. */
  loadPublished(weights: Readonly<StateDict>): void {
    this.loadStateDict(translated('BertTokenClassifier', weights, tokenClassifierTranslation));
  }

  forward(tokens: AnyTensor, call: BertCall = {}): AnyTensor {
    checkOptions('BertTokenClassifier', call, 'BertTokenClassifier.forward');
    return this.classifier.forward(this.drop.forward(this.bert.forward(tokens, call).hidden));
  }
}
