// The autoencoder spends fewer nats on an image than the 251 of the mean image's pixels, each by itself.
import { numberAfter, runExample } from './run-example';

test('rendered digits', async () => {
  const printed = await runExample('vae', '--epochs', '6', '--train', '6000', '--lr', '0.003', '--out', 'OUT');
  expect(numberAfter('Test bound', printed)).toBeLessThan(240);
  expect(numberAfter('latent', printed)).toBeGreaterThan(5);
});
