// The network balances the pole; pushed at random it falls after some 22 steps.
import { numberAfter, runExample } from './run-example';

test('a short training', async () => {
  const printed = await runExample('cartpole', '--steps', '60000');
  expect(numberAfter('Balances for', printed)).toBeGreaterThan(150);
});
