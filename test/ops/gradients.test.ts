// The gradients of every differentiable sample on every device.
import { describeOnDevices } from '../devices';
import { checkGradients, differentiable } from './check-sample';
import { samples, samplesByOp } from './samples';

describeOnDevices(() => {
  describe.each([...samplesByOp].filter(([, list]) => list.some(differentiable)))('%s', (_, list) => {
    test.each(list.filter(differentiable).map((sample) => [sample.variant, sample] as const))(
      '%s',
      (_variant, sample) => checkGradients(sample),
    );
  });
});

test('how much is checked', () => {
  const first = samples.filter(differentiable);
  const second = first.filter(({ order }) => order === 2);
  process.stdout.write(`gradcheck: ${first.length} samples, ${second.length} of them to the second order\n`);
  expect(first.length).toBeGreaterThan(300);
  expect(second.length).toBeGreaterThan(290);
});
