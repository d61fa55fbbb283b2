// Runs in the loader's threads for event-loop.ts: digits, moved and noisy anew in each epoch.
import { data } from 'hadal';

export default (count: number): data.Dataset<unknown> => {
  const { images, labels, height, width } = data.renderDigits(count, { seed: 1 });
  const digits: data.Dataset<number> = { length: count, get: (i) => Promise.resolve(i) };
  return new data.MapDataset(digits, (i, random) => {
    const from = images.subarray(i * height * width, (i + 1) * height * width);
    const shift = random.integer(5) - 2;
    const image = Float32Array.from(from, (_, at) => (from[at + shift] ?? 0) / 255 + 0.1 * random.uniform());
    return { image: { dtype: 'float32', shape: [1, height, width], data: image }, label: labels[i]! };
  });
};
