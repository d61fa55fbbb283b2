import { IndexError, nn, ones, randn, synchronize, tensor } from '../../lib';
import type { AnyTensor } from '../../lib';

const outOfRange = (): AnyTensor => nn.functional.embedding(ones([4, 2]), tensor([1, 9], { dtype: 'int32' }));

describe('an error on the stream', () => {
  test('is thrown at the next read, and what follows works', async () => {
    const rows = outOfRange();
    await expect(rows.data()).rejects.toThrow(IndexError);
    expect(await ones([2]).sum().item()).toBe(2);
    outOfRange();
    expect(() => synchronize()).toThrow('embedding: index 9');
    synchronize();
    outOfRange();
    expect(() => ones([1]).itemSync()).toThrow(IndexError);
    expect(ones([1]).itemSync()).toBe(1);
  });
});

test('data() waits without blocking the event loop', async () => {
  const x = randn([768, 768]);
  let y: AnyTensor = x;
  for (let i = 0; i < 30; i++) y = y.matmul(x).mul(0.01);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await y.data();
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
});

test('many reads at once arrive in full', async () => {
  const values = await Promise.all(Array.from({ length: 500 }, (_, i) => ones([3]).mul(i).data()));
  values.forEach((value, i) => expect([...value]).toEqual([i, i, i]));
});

test('a producer that runs ahead of a bounded queue loses nothing', () => {
  let x: AnyTensor = ones([2]).mul(0);
  for (let i = 0; i < 10_000; i++) x = x.add(1);
  expect([...(x.dataSync() as Float32Array)]).toEqual([10_000, 10_000]);
});
