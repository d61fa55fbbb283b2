/**
 * Says how well molecules dissolve in water, with a graph network over their atoms and bonds.
 *
 *   npx tsx examples/molecules.ts                 molecules made up by the program, of which a rule says how they dissolve
 *   npx tsx examples/molecules.ts --data DIR      ESOL: delaney-processed.csv, with SMILES and measured solubilities
 *   npx tsx examples/molecules.ts --seed 1        another split into molecules that are seen and ones that are not; --help lists the options
 *
 * Delaney, 2004, ESOL: Estimating aqueous solubility directly from molecular structure; Hu et al., 2020, Strategies for pre-training graph neural
 * networks, for the layer; Weininger, 1988, SMILES.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { cat, data, manualSeed, nn, optim, segmentMean, segmentSum, train } from 'hadal';
import type { AnyTensor } from 'hadal';

const usage = `Options:
  --data DIR       delaney-processed.csv; without it, molecules are made up
  --epochs N       passes over the molecules (100)
  --batch N        molecules per step (32)
  --lr RATE        the highest learning rate (0.002)
  --layers N       how many bonds a message travels (4)
  --width N        features of an atom (96)
  --dropout P      of a molecule's features (0.1)
  --seed N         of the split and of everything random (0)`;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    epochs: { type: 'string', default: '100' },
    batch: { type: 'string', default: '32' },
    lr: { type: 'string', default: '0.002' },
    layers: { type: 'string', default: '4' },
    width: { type: 'string', default: '96' },
    dropout: { type: 'string', default: '0.1' },
    seed: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

// --- Molecules ---------------------------------------------------------------------------------------------------------------

interface Atom {
  readonly element: string;
  readonly aromatic: boolean;
  readonly charge: number;
  /** As written in brackets; else they fill up the valence. */
  readonly hydrogens?: number;
}
interface Bond {
  readonly ends: readonly [number, number];
  /** 1, 2 or 3, or 1.5 in an aromatic ring. */
  readonly order: number;
}
interface Molecule {
  readonly atoms: readonly Atom[];
  readonly bonds: readonly Bond[];
}

const orders: Readonly<Record<string, number>> = { '-': 1, '/': 1, '\\': 1, '=': 2, '#': 3, ':': 1.5 };
const symbol =
  /\[\d*(?<bracketed>[A-Z][a-z]?|[a-z]{1,2})@*(?:H(?<hydrogens>\d*))?(?<charge>[+-]+\d*)?\]|(?<plain>Cl|Br|[BCNOPSFIbcnops])|(?<bond>[-=#:/\\])|(?<ring>\d|%\d\d)|(?<other>[().])/y;

/** The molecule that a line of SMILES writes down. */
function readSmiles(text: string): Molecule {
  const [atoms, bonds, branches, rings] = [[] as Atom[], [] as Bond[], [] as number[], new Map<string, [number, number | undefined]>()]; // prettier-ignore
  let [last, order] = [-1, undefined as number | undefined];
  const connect = (a: number, b: number): void => {
    const isAromatic = atoms[a]!.aromatic && atoms[b]!.aromatic;
    bonds.push({ ends: [a, b], order: order ?? (isAromatic ? 1.5 : 1) });
    order = undefined;
  };
  symbol.lastIndex = 0;
  while (symbol.lastIndex < text.length) {
    const start = symbol.lastIndex;
    const found = symbol.exec(text)?.groups;
    if (found === undefined) throw new Error(`SMILES ${text}: cannot read ${JSON.stringify(text.slice(start))}`);
    const { bracketed, hydrogens, charge, plain, bond, ring, other } = found;
    const name = bracketed ?? plain;
    if (name !== undefined) {
      const size = Number(/\d+/.exec(charge ?? '')?.[0] ?? charge?.length ?? 0);
      atoms.push({
        element: name[0]!.toUpperCase() + name.slice(1),
        aromatic: name === name.toLowerCase(),
        charge: charge?.startsWith('-') === true ? -size : size,
        ...(bracketed !== undefined && { hydrogens: hydrogens === undefined ? 0 : Number(hydrogens || 1) }),
      });
      if (last >= 0) connect(last, atoms.length - 1);
      last = atoms.length - 1;
    } else if (bond !== undefined) order = orders[bond]!;
    else if (ring !== undefined) {
      const open = rings.get(ring);
      if (open === undefined) rings.set(ring, [last, order]);
      else {
        order ??= open[1];
        connect(open[0], last);
        rings.delete(ring);
      }
      order = undefined;
    } else if (other === '(') branches.push(last);
    else last = other === ')' ? branches.pop()! : -1;
  }
  return { atoms, bonds };
}

// --- Features ----------------------------------------------------------------------------------------------------------------

const elements = ['C', 'N', 'O', 'F', 'P', 'S', 'Cl', 'Br', 'I'];
const valences: Readonly<Record<string, number>> = { B: 3, C: 4, N: 3, O: 2, F: 1, P: 3, S: 2, Cl: 1, Br: 1, I: 1 };
const bondOrders = [1, 1.5, 2, 3];
/** 1 at the place of a value among all, or behind them where it is none of these. */
const oneHot = <T>(value: T, all: readonly T[]): number[] => {
  const place = all.includes(value) ? all.indexOf(value) : all.length;
  return Array.from({ length: all.length + 1 }, (_, i) => Number(i === place));
};

interface Sample extends data.GraphItem {
  readonly nodes: data.ArrayItem<'float32'>;
  readonly bonds: data.ArrayItem<'float32'>;
  readonly y: Float32Array;
}

const matrix = (rows: readonly (readonly number[])[], columns: number): data.ArrayItem<'float32'> => ({
  dtype: 'float32',
  shape: [rows.length, columns],
  data: Float32Array.from(rows.flat()),
});

const [atomFeatures, bondFeatures] = [elements.length + 1 + 5 + 5 + 2, bondOrders.length + 1];

/** Atoms as nodes, and each bond as two edges, there and back. */
function sampleOf({ atoms, bonds }: Molecule, y: number): Sample {
  const around = atoms.map((_, i) => bonds.filter(({ ends }) => ends.includes(i)));
  const nodes = atoms.map(({ element, aromatic, charge, hydrogens }, i) => {
    const used = Math.floor(around[i]!.reduce((sum, { order }) => sum + order, 0));
    const free = hydrogens ?? Math.max((valences[element] ?? 0) - used, 0);
    return [
      ...oneHot(element, elements),
      ...oneHot(around[i]!.length, [1, 2, 3, 4]),
      ...oneHot(free, [0, 1, 2, 3]),
      Number(aromatic),
      charge,
    ];
  });
  const both = bonds.flatMap(({ ends: [a, b], order }) => [
    { from: a, to: b, order },
    { from: b, to: a, order },
  ]);
  const ends = Int32Array.from([...both.map(({ from }) => from), ...both.map(({ to }) => to)]);
  return {
    nodes: matrix(nodes, atomFeatures),
    edges: { dtype: 'int32', shape: [2, both.length], data: ends },
    bonds: matrix(both.map(({ order }) => oneHot(order, bondOrders)), bondFeatures), // prettier-ignore
    y: Float32Array.of(y),
  };
}

async function readEsol(folder: string): Promise<Sample[]> {
  const table = await data.readCsv(join(folder, 'delaney-processed.csv'));
  const measured = table.column('measured log solubility in mols per litre');
  return table.column('smiles').map((smiles, i) => sampleOf(readSmiles(smiles.trim()), Number(measured[i])));
}

/** Chains with branches and rings; oxygen and nitrogen dissolve, more so where a hydrogen is on them, carbon and halogens do not. */
function makeMolecules(count: number): Sample[] {
  const random = new data.Random(1);
  const one = (parts: string): string => parts.split(' ')[random.integer(parts.split(' ').length)]!;
  const chain = (length: number): string => {
    if (length <= 0) return one('C O N Cl F c1ccccc1');
    const branch = random.uniform() < 0.3 ? `(${chain(random.integer(3))})` : '';
    return `${one('C C C C(=O) N O c1ccc(cc1)')}${branch}${chain(length - 1)}`;
  };
  return Array.from({ length: count }, () => {
    const molecule = readSmiles(`C${chain(1 + random.integer(6))}`);
    const polar = (i: number): number =>
      molecule.bonds.filter(({ ends }) => ends.includes(i)).length === 1 ? 1.5 : 0.6;
    const parts = molecule.atoms.map(({ element, aromatic }, i) =>
      element === 'O' || element === 'N' ? polar(i) : aromatic ? -0.5 : element === 'C' ? -0.4 : -0.8,
    );
    return sampleOf(
      molecule,
      parts.reduce((sum, part) => sum + part, 0),
    );
  });
}

// --- The network -------------------------------------------------------------------------------------------------------------

/** Every atom hears from its neighbours, and what bonds them. */
class Block extends nn.Module {
  readonly conv: nn.GINConv;
  readonly norm: nn.BatchNorm1d;

  constructor(width: number) {
    super();
    const net = new nn.Sequential(new nn.Linear(width, 2 * width), new nn.ReLU(), new nn.Linear(2 * width, width));
    this.conv = new nn.GINConv(width, net, { trainEpsilon: true, edgeFeatures: bondFeatures });
    this.norm = new nn.BatchNorm1d(width);
  }

  forward(atoms: AnyTensor, edges: AnyTensor, bonds: AnyTensor): AnyTensor {
    return atoms.add(this.norm.forward(this.conv.forward(atoms, edges, bonds)).relu());
  }
}

class MoleculeNetwork extends nn.Module {
  readonly embedding: nn.Linear;
  readonly blocks: nn.ModuleList<Block>;
  readonly head: nn.Sequential;

  constructor(width: number, layers: number, dropout: number) {
    super();
    this.embedding = new nn.Linear(atomFeatures, width);
    this.blocks = new nn.ModuleList(Array.from({ length: layers }, () => new Block(width)));
    this.head = new nn.Sequential(
      new nn.Linear(2 * width, width),
      new nn.ReLU(),
      new nn.Dropout(dropout),
      new nn.Linear(width, 1),
    );
  }

  /** A number for each molecule: [count, 1]. */
  forward({ nodes, edges, bonds, graphs, count }: data.GraphBatch<Sample>): AnyTensor {
    let atoms: AnyTensor = this.embedding.forward(nodes);
    for (const block of this.blocks) atoms = block.forward(atoms, edges, bonds);
    return this.head.forward(cat([segmentSum(atoms, graphs, count).div(10), segmentMean(atoms, graphs, count)], 1));
  }
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const [epochs, seed] = [Number(values.epochs), Number(values.seed)];
  manualSeed(seed);
  const samples = values.data === undefined ? makeMolecules(1500) : await readEsol(values.data);
  const [training, validation, test] = data
    .randomSplit(new data.ListDataset(samples), [0.8, 0.1, 0.1], { seed })
    .map((set, part) => {
      const collate = data.graphCollate({ concatenate: ['bonds'] });
      return new data.DataLoader(set, { batchSize: Number(values.batch), shuffle: part === 0, seed, collate });
    });

  const model = new MoleculeNetwork(Number(values.width), Number(values.layers), Number(values.dropout));
  const optimizer = new optim.AdamW(model.parameters(), { lr: Number(values.lr), weightDecay: 0.01 });
  console.log(`${samples.length} molecules, ${model.parameters().reduce((sum, { size }) => sum + size, 0)} parameters`);
  // Solubilities are of about this mean and deviation, as logarithms of mol/l.
  const [mean, deviation] = [-3, 2];
  const trainer = new train.Trainer({
    model,
    optimizer,
    step: (batch: data.GraphBatch<Sample>) => {
      const predictions = model.forward(batch).mul(deviation).add(mean);
      return { loss: nn.functional.mseLoss(predictions, batch.y), predictions, targets: batch.y };
    },
    metrics: () => ({ error: new train.MeanSquaredError({ root: true }), r2: new train.R2Score() }),
    schedule: new optim.CosineAnnealingLR(optimizer, { tMax: epochs * training!.length }),
    average: new optim.AveragedModel(model, { decay: 0.998, warmUp: true }),
    callbacks: [new train.Progress()],
  });
  await trainer.fit(training!, { epochs, validation: validation! });
  const { error, r2 } = await trainer.evaluate(test!);
  console.log(`Test error ${error!.toFixed(3)} (root of the mean square), R² ${r2!.toFixed(3)}`);
}

void main();
