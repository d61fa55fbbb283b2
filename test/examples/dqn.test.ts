// Deep Q-learning learns to be where the ball falls.
import { numberAfter, runExample } from './run-example';

test.each([[], ['--double']])('balls are caught %j', async (...options: string[]) => {
  const printed = await runExample('dqn', '--moves', '10000', ...options);
  expect(numberAfter('Caught', printed)).toBeGreaterThan(85);
});
