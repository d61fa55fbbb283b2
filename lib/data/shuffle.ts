/** Orders that a seed decides: the same on every machine. */

/** SplitMix32: a small generator of numbers in [0, 1), good enough for orders and augmentation. Steele et al., 2014. */
export function splitMix(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** The numbers below `count` in an order that `seed` and `epoch` decide (Fisher–Yates). */
export function shuffled(count: number, seed: number, epoch: number): number[] {
  const random = splitMix(Math.imul(seed, 0x85ebca6b) ^ Math.imul(epoch + 1, 0xc2b2ae35));
  const order = [...Array(count).keys()];
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
