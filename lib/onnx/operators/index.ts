/** All operators, by domain and name. */
import type { Operator } from '../call';
import { attentions } from './attention';
import { control } from './control';
import { convolution } from './convolution';
import { creation } from './creation';
import { microsoft } from './microsoft';
import { movement } from './movement';
import { normalization } from './normalization';
import { pointwise } from './pointwise';
import { pooling } from './pooling';
import { products } from './products';
import { quantization } from './quantization';
import { recurrence } from './recurrent';
import { reductions } from './reductions';
import { resampling } from './resampling';
import { signal } from './signal';

/** By family; '' is the domain of ONNX's own. */
export const families: readonly {
  readonly title: string;
  readonly domain: string;
  readonly operators: Readonly<Record<string, Operator>>;
}[] = [
  { title: 'Pointwise', domain: '', operators: pointwise },
  { title: 'Reductions and softmax', domain: '', operators: reductions },
  { title: 'Movement and indexing', domain: '', operators: movement },
  { title: 'Products', domain: '', operators: products },
  { title: 'Convolution', domain: '', operators: convolution },
  { title: 'Pooling', domain: '', operators: pooling },
  { title: 'Normalisation, dropout and losses', domain: '', operators: normalization },
  { title: 'Recurrent', domain: '', operators: recurrence },
  { title: 'Attention', domain: '', operators: attentions },
  { title: 'Resampling and boxes', domain: '', operators: resampling },
  { title: 'Creation and random numbers', domain: '', operators: creation },
  { title: 'Quantisation', domain: '', operators: quantization },
  { title: 'Fourier transforms', domain: '', operators: signal },
  { title: 'Branches, loops and sequences', domain: '', operators: control },
  { title: 'Of the domain com.microsoft', domain: 'com.microsoft', operators: microsoft },
];

const byName: ReadonlyMap<string, Operator> = new Map(
  families.flatMap(({ domain, operators }) =>
    Object.entries(operators).map(([name, operator]) => [`${domain} ${name}`, operator] as const),
  ),
);

export const operatorOf = (domain: string, name: string): Operator | undefined => byName.get(`${domain} ${name}`);

export { foldings, type Folding } from './known';
