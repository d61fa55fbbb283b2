import { killRepeatedly } from './kill';

test('a run that is killed ten times ends with the same bits, and loses nothing that it reported as saved', async () => {
  const { expected, got } = await killRepeatedly(10, 240);
  expect(got.length).toBeGreaterThan(0);
  for (const result of got) expect(result).toEqual(expected);
}, 300_000);
