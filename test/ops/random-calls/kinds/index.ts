// Every kind of call that is made at random sizes, by its name.
import type { Kind } from '../call';
import { convolutions } from './convolutions';
import { images } from './images';
import { movement } from './movement';
import { pointwise } from './pointwise';
import { products } from './products';
import { rows } from './rows';
import { sequences } from './sequences';

export const kinds: Readonly<Record<string, Kind>> = {
  ...products,
  ...convolutions,
  ...pointwise,
  ...rows,
  ...movement,
  ...images,
  ...sequences,
};
