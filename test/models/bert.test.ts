// BERT's relatives and heads beside the library transformers, whose small models lie in test/golden/transformers. One sequence of each batch is filled up
// behind its tokens, the other before them.
//
// Differences are in terms of the largest value. Both sides round to float32 (6e-8) in some dozen sums one after the other, in another order; 1e-5 has
// room for that, while another position, activation or epsilon changes the first or second digit.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { io, manualSeed, models, nn, optim, randint, scope, tensor, zeros, type AnyTensor } from '../../lib/index';
import { difference, expectGradients, folderOf, referenceOf } from './references';

type Reference = Record<string, AnyTensor>;
interface Whole extends nn.Module {
  forward(tokens: AnyTensor, call: models.BertCall): AnyTensor;
  loadPublished(weights: nn.StateDict): void;
}
const sizes = { vocabulary: 24, context: 12, width: 8, layers: 1, heads: 2 };

/** Compared where there are tokens: of a hidden position nothing is said. */
function expectVisible(found: AnyTensor, expected: AnyTensor, seen: AnyTensor): void {
  const visible = seen.unsqueeze(-1).cast('float32');
  expect(found.shape).toEqual(expected.shape);
  expect(difference(found.mul(visible) as AnyTensor, expected.mul(visible) as AnyTensor)).toBeLessThan(1e-5);
}

describe.each(['roberta-masked', 'distilbert-masked', 'xlm-roberta', 'bert-tokens', 'xlm-roberta-tokens'])(
  '%s',
  (name) => {
    test('the encoder is that of the reference, whatever head lies beside it', async () => {
      const { tokens, seen, hidden, pooled } = (await referenceOf(name)) as Reference;
      const found = (await models.Bert.load(folderOf(name))).forward(tokens!, { keyMask: seen! });
      expectVisible(found.hidden, hidden!, seen!);
      expect(found.pooled === undefined).toBe(pooled === undefined);
      if (pooled !== undefined) expect(difference(found.pooled!, pooled)).toBeLessThan(1e-5);
    });
  },
);

describe.each<[string, (folder: string) => Promise<Whole>]>([
  ['roberta-masked', (folder) => models.BertMaskedLM.load(folder)],
  ['distilbert-masked', (folder) => models.BertMaskedLM.load(folder)],
  ['bert-classifier', (folder) => models.BertClassifier.load(folder)],
  ['roberta-classifier', (folder) => models.BertClassifier.load(folder)],
  ['distilbert-classifier', (folder) => models.BertClassifier.load(folder)],
  ['bert-tokens', (folder) => models.BertTokenClassifier.load(folder)],
  ['xlm-roberta-tokens', (folder) => models.BertTokenClassifier.load(folder)],
])('%s with its head', (name, load) => {
  let model: Whole;
  let reference: Reference;
  beforeAll(async () => {
    [model, reference] = [await load(folderOf(name)), (await referenceOf(name)) as Reference];
  });
  const logits = (of: Whole): AnyTensor => of.forward(reference['tokens']!, { keyMask: reference['seen']! });

  test('logits are those of the reference', () => {
    const { logits: expected, seen } = reference;
    if (expected!.rank === 2) expect(difference(logits(model), expected!)).toBeLessThan(1e-5);
    else expectVisible(logits(model), expected!, seen!);
  });

  test('the loss and its gradients are those of the reference', async () => {
    const { labels, loss } = reference;
    const rows = logits(model).flatten(0, -2) as AnyTensor;
    const found = nn.functional.crossEntropy(rows, labels!.flatten() as never);
    expect(difference(found, loss!.squeeze() as AnyTensor)).toBeLessThan(1e-5);
    model.zeroGrad();
    found.backward();
    expectGradients(model, await load(folderOf(name)), reference);
  });

  test('saved and read into another, it is the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hadal-saved-'));
    const file = join(folder, 'model.safetensors');
    await io.writeSafetensors(file, model.stateDict());
    const other = await load(folderOf(name));
    for (const parameter of other.parameters()) nn.init.zeros_(parameter);
    other.loadStateDict(await io.readSafetensors(file));
    rmSync(folder, { recursive: true });
    expect(logits(other).toArraySync()).toEqual(logits(model).toArraySync());
  });
});

test.each(['bert-classifier', 'roberta-classifier', 'distilbert-classifier'])(
  'the names of classes are kept: %s',
  async (name) => {
    expect((await models.BertClassifier.load(folderOf(name))).labels).toEqual(['dull', 'funny', 'sad']);
  },
);

test('the pooler of a RoBERTa is no part of its classifier', async () => {
  const model = await models.BertClassifier.load(folderOf('roberta-classifier'));
  const weights = await io.readSafetensors(join(folderOf('roberta-classifier'), 'model.safetensors'));
  const pooler = { 'roberta.pooler.dense.weight': zeros([8, 8]), 'roberta.pooler.dense.bias': zeros([8]) };
  model.loadPublished({ ...weights, ...pooler } as nn.StateDict);
  const { tokens, seen, logits } = (await referenceOf('roberta-classifier')) as Reference;
  expect(difference(model.forward(tokens!, { keyMask: seen! }), logits!)).toBeLessThan(1e-5);
});

describe('a new head over a published encoder', () => {
  const labels = ['even', 'odd'];

  test.each(['roberta-masked', 'distilbert-masked', 'xlm-roberta', 'bert', 'bert-masked', 'roberta-classifier'])(
    'of sequences: %s',
    async (name) => {
      const encoder = await models.Bert.load(folderOf(name));
      manualSeed(5);
      const model = await models.BertClassifier.load(folderOf(name), { labels });
      const { tokens } = (await referenceOf(name)) as Reference;
      expect(model.labels).toEqual(labels);
      expect(model.forward(tokens!).shape).toEqual([2, 2]);
      expect(model.bert.forward(tokens!).hidden.toArraySync()).toEqual(encoder.forward(tokens!).hidden.toArraySync());
      // BERT's pooler is part of what is published; that of RoBERTa is not used.
      const isPublished = name === 'bert';
      const pooler = model.bert.pooler!.weight;
      if (isPublished) expect(difference(pooler, encoder.pooler!.weight)).toBe(0);
      // Normal numbers of deviation 0.02 beside weights of deviation 0.4 around 0.1.
      for (const weight of isPublished ? [model.classifier.weight] : [model.classifier.weight, pooler]) {
        expect(weight.abs().max().itemSync()).toBeGreaterThan(0);
        expect(weight.abs().max().itemSync()).toBeLessThan(0.1);
      }
      expect(model.classifier.bias!.abs().max().itemSync()).toBe(0);
      expect(model.training).toBe(false);
    },
  );

  test('of tokens', async () => {
    const model = await models.BertTokenClassifier.load(folderOf('xlm-roberta'), { labels });
    const { tokens, hidden, seen } = (await referenceOf('xlm-roberta')) as Reference;
    expectVisible(model.bert.forward(tokens!, { keyMask: seen! }).hidden, hidden!, seen!);
    expect(model.forward(tokens!).shape).toEqual([2, 9, 2]);
  });
});

test.each<[string, () => Whole, boolean]>([
  ['of sequences', () => new models.BertClassifier({ ...sizes, labels: ['no', 'yes'], padding: 1 }), false],
  ['of tokens', () => new models.BertTokenClassifier({ ...sizes, labels: ['no', 'yes'], types: 0 }), true],
])('a classifier %s learns', (_, make, each) => {
  manualSeed(2);
  const model = make();
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const tokens = randint(2, 24, [32, 6]) as AnyTensor;
  const big = (each ? tokens : tokens.select(1, 3)).greater(12).cast('int32');
  const losses = Array.from({ length: 50 }, () =>
    scope(() => {
      optimizer.zeroGrad();
      const logits = model.forward(tokens, {}).flatten(0, -2) as AnyTensor;
      const loss = nn.functional.crossEntropy(logits, big.flatten() as never);
      loss.backward();
      optimizer.step();
      return loss.itemSync();
    }),
  );
  expect(losses[0]).toBeGreaterThan(0.6);
  expect(losses.at(-1)).toBeLessThan(0.2);
});

test('BERT guesses tokens better after some steps', () => {
  manualSeed(3);
  const model = new models.BertMaskedLM({ ...sizes, types: 1, padding: 1, dropout: 0 });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const tokens = randint(2, 24, [4, 6]) as AnyTensor;
  const losses = Array.from({ length: 40 }, () =>
    scope(() => {
      optimizer.zeroGrad();
      const loss = nn.functional.crossEntropy(model.forward(tokens).flatten(0, 1), tokens.flatten() as never);
      loss.backward();
      optimizer.step();
      return loss.itemSync();
    }),
  );
  expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
});

test('positions pass over padding, and sequences are as long as the context', () => {
  const model = new models.Bert({ ...sizes, padding: 1 });
  const given = jest.spyOn(model.positions, 'forward');
  const tokens = tensor(
    [
      [5, 6, 7, 1, 1],
      [1, 1, 5, 1, 6],
    ],
    { dtype: 'int64' },
  ) as AnyTensor;
  model.forward(tokens);
  expect(given.mock.calls[0]![0].toArraySync()).toEqual([
    [2, 3, 4, 1, 1],
    [1, 1, 2, 1, 3],
  ]);
  const long = randint(2, 24, [1, 12]) as AnyTensor;
  expect(model.forward(long).hidden.shape).toEqual([1, 12, 8]);
  expect(() => model.forward(randint(2, 24, [1, 13]) as AnyTensor)).toThrow(
    'Bert: tokens: got 13 in a sequence, expected at most 12',
  );
});

describe('what is refused', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hadal-published-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const changed = (name: string, fields: object): string => {
    cpSync(folderOf(name), folder, { recursive: true });
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...fields }));
    return folder;
  };

  test.each<[string, { load(folder: string): Promise<unknown> }, object, string]>([
    [
      'roberta-masked',
      models.Bert,
      { model_type: 'electra' },
      'Bert: config.json: model_type: got electra, expected bert or roberta or xlm-roberta or distilbert',
    ],
    ['roberta-masked', models.Bert, { is_decoder: true }, 'Bert: config.json: is_decoder: got true, expected false'],
    [
      'distilbert-masked',
      models.Bert,
      { activation: 'relu' },
      'Bert: config.json: activation: got relu, expected gelu',
    ],
    ['distilbert-masked', models.Bert, { dim: null }, 'Bert: config.json: dim: got undefined, expected a number'],
    [
      'distilbert-masked',
      models.Bert,
      { model_type: 'bert' },
      'Bert: config.json: hidden_size: got undefined, expected a number',
    ],
    [
      'roberta-masked',
      models.BertMaskedLM,
      { tie_word_embeddings: false },
      'BertMaskedLM: config.json: tie_word_embeddings: got false, expected true',
    ],
    [
      'roberta-masked',
      models.BertClassifier,
      {},
      'BertClassifier: labels: got none for weights without a classifier, expected those of a new one',
    ],
    ['bert-tokens', models.BertClassifier, {}, 'loadStateDict: names differ: missing [bert.pooler.weight'],
    [
      'distilbert-classifier',
      models.BertClassifier,
      { seq_classif_dropout: 2 },
      'Dropout: probability: got 2, expected',
    ],
    [
      'bert-classifier',
      models.BertClassifier,
      { classifier_dropout: 'some' },
      'BertClassifier: config.json: classifier_dropout: got string some, expected a number',
    ],
  ])('%s by %p with %j', async (name, { load }, fields, message) => {
    await expect(load(changed(name, fields))).rejects.toThrow(message);
  });

  test.each<[string, () => unknown, string]>([
    [
      'a pooler',
      () => new models.Bert({ ...sizes, pooler: 'gelu' as never }),
      'Bert: pooler: got gelu, expected true, false, tanh or relu',
    ],
    ['padding', () => new models.Bert({ ...sizes, padding: -1 }), 'Bert: padding: got -1, expected an integer'],
    [
      'types',
      () =>
        new models.Bert({ ...sizes, types: 0 }).forward(zeros([1, 2], { dtype: 'int32' }) as AnyTensor, {
          types: zeros([1, 2]),
        }),
      'Bert: types: got a tensor, expected none where tokens are of one kind',
    ],
    ['labels', () => new models.BertClassifier({ ...sizes } as never), 'BertClassifier: labels: got undefined'],
    [
      'no options',
      () => new (models.BertTokenClassifier as never as new () => unknown)(),
      'BertTokenClassifier: options',
    ],
    [
      'a pooler of a classifier',
      () => new models.BertClassifier({ ...sizes, labels: ['a'], pooler: false as never }),
      'BertClassifier: pooler: got false, expected tanh or relu',
    ],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});
