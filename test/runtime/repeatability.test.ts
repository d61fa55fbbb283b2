import { getNumThreads, setNumThreads } from '../../lib';
import { prepareTraining } from './training';

function lossesWith(threads: number): number[] {
  const before = getNumThreads();
  setNumThreads(threads);
  try {
    const { step } = prepareTraining(7);
    return Array.from({ length: 12 }, () => step().itemSync());
  } finally {
    setNumThreads(before);
  }
}

test('the same seed gives the same bits, from run to run and at any number of threads', () => {
  const losses = lossesWith(1);
  expect(losses[11]).toBeLessThan(losses[0]!);
  expect(lossesWith(1)).toEqual(losses);
  expect(lossesWith(2)).toEqual(losses);
  expect(lossesWith(3)).toEqual(losses);
});
