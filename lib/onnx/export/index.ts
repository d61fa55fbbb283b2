/** How each op is written, by its name in native/ops.def or of a view. */
import { creation } from './creation';
import type { Table } from './graph';
import { images } from './images';
import { movement } from './movement';
import { normalization } from './normalization';
import { pointwise } from './pointwise';
import { products } from './products';
import { quantized } from './quantized';
import { recurrence } from './recurrent';
import { reduce } from './reduce';
import { spectra } from './spectra';

export const writers: Table = {
  ...creation,
  ...images,
  ...movement,
  ...pointwise,
  ...normalization,
  ...products,
  ...quantized,
  ...recurrence,
  ...reduce,
  ...spectra,
};
