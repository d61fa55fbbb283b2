/** The randomness of one epoch, item by item: the same wherever and in whatever order items are made. */
import { checkFinite } from '../tensor/checks';
import { Random } from './random';

/** What an item's augmentation may depend on: the loader's seed, the epoch and the item. */
export class Draw {
  constructor(
    readonly seed = 0,
    readonly epoch = 0,
  ) {
    checkFinite('Draw', 'seed', seed);
    checkFinite('Draw', 'epoch', epoch);
  }

  /** Numbers of an item's own: drawing more for one leaves the others as they are. */
  random(index: number): Random {
    const epoch = new Random(this.seed, this.epoch);
    return new Random(epoch.bits() * 2 ** 20 + (epoch.bits() >>> 12), index);
  }
}
