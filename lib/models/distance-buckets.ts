/** The numbers of T5's biases of attention, by the distance of a key from a query. Raffel et al., 2020, section 2.1. */
import { tensor } from '../ops/creation';
import type { AnyTensor } from '../tensor/tensor';

/** Where the next of `count` buckets begins: at 1, 2, … half of them, then at distances in a geometric sequence of which `maxDistance` would be the next. */
function boundsOf(count: number, maxDistance: number): number[] {
  const exact = count / 2;
  return Array.from({ length: count - 1 }, (_, i) => {
    const further = i + 1 - exact;
    // A power that is an integer may come out a little above it.
    return further <= 0 ? i + 1 : Math.ceil(exact * (maxDistance / exact) ** (further / exact) - 1e-9);
  });
}

/**
 * The bucket, out of `count`, of each of the integers `distances` [n], place of the key − place of the query. With `bothSides` the first half is for keys up to the
 * query's own, the second for those behind it; otherwise these are all in bucket 0.
 */
export function distanceBuckets(
  distances: AnyTensor,
  count: number,
  maxDistance: number,
  bothSides: boolean,
): AnyTensor {
  const bounds = tensor(boundsOf(bothSides ? count / 2 : count, maxDistance), {
    dtype: 'int32',
    device: distances.device,
  });
  const bucketOf = (distance: AnyTensor): AnyTensor =>
    distance.unsqueeze(1).greaterEqual(bounds).cast('int32').sum(1) as AnyTensor;
  const before = bucketOf(distances.neg() as AnyTensor);
  if (!bothSides) return before;
  return before.add(bucketOf(distances)).add(
    distances
      .greater(0)
      .cast('int32')
      .mul(count / 2),
  ) as AnyTensor;
}
